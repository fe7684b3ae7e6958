// Blind A/B of two of output, input and reference: which of A and B is the first of them? Both are matched in loudness, and nothing
// else on the page tells.
"use strict";

// player controls come in as select(name); say(text) tells the listener something
function styleBlind(select, match, say) {
  const $ = (id) => document.getElementById(id);
  let hidden = null, asked = 0, right = 0;

  const pair = () => $("blind-pair").value.split(" ");
  const draw = () => { const [one, other] = pair(); hidden = Math.random() < 0.5 ? { a: one, b: other } : { a: other, b: one }; };

  function hear(letter) {
    if (!hidden) return;
    for (const other of ["a", "b"]) $(`blind-${other}`).setAttribute("aria-checked", other === letter);
    select(hidden[letter]);
  }

  function answer(letter) {
    asked++;
    const found = hidden[letter] === pair()[0];
    if (found) right++;
    say(`${found ? "Right" : "Wrong"}: ${right} of ${asked} right (guessing gets half).`);
    draw();
    hear("a");
  }

  function begin() {
    const [one, other] = pair();
    [asked, right] = [0, 0];
    for (const letter of ["a", "b"]) $(`blind-is-${letter}`).textContent = `${letter.toUpperCase()} is the ${one}`;
    draw();
    hear("a");
    say(`Blind: A and B are ${one} and ${other} in an order that is drawn anew after every answer.`);
  }

  function toggle() {
    const on = !hidden;
    document.body.classList.toggle("blind", on);
    $("blind").setAttribute("aria-pressed", on);
    $("blind-controls").hidden = !on;
    if (on) {
      match(true);
      begin();
    } else {
      hidden = null;
      select("output");
      say(asked ? `Blind test ended: ${right} of ${asked} right.` : "");
    }
  }

  $("blind").addEventListener("click", toggle);
  $("blind-pair").addEventListener("change", begin);
  for (const letter of ["a", "b"]) {
    $(`blind-${letter}`).addEventListener("click", () => hear(letter));
    $(`blind-is-${letter}`).addEventListener("click", () => answer(letter));
  }
  return { hear, get on() { return hidden !== null; }, get truth() { return hidden; } };
}
