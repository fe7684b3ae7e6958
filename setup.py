"""Everything about the package stands in pyproject.toml; this adds the bill of materials to the wheel, where PEP 770 wants it."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

SBOM = Path(__file__).parent / "sbom.cdx.json"


class WheelWithBill(bdist_wheel):
    """``stylefx-*.dist-info/sboms/stylefx.cdx.json``."""

    def write_wheelfile(self, wheelfile_base, *arguments, **options):
        super().write_wheelfile(wheelfile_base, *arguments, **options)
        folder = Path(wheelfile_base) / "sboms"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(SBOM, folder / "stylefx.cdx.json")


setup(cmdclass={"bdist_wheel": WheelWithBill})
