from stylefx.building import build_corpus as build_corpus
from stylefx.building import plan_corpus as plan_corpus
from stylefx.corpus.opened import open_corpus as open_corpus
from stylefx.effects.chain import EffectChain as EffectChain
from stylefx.effects.registry import make_effect as make_effect
from stylefx.inference.options import TransferOptions as TransferOptions
from stylefx.inference.python.call import transfer as transfer
from stylefx.inference.rendering.file import render_file as render_file
from stylefx.inference.settings_file import load_settings as load_settings
from stylefx.inference.transfer import StyleTransfer as StyleTransfer

__version__: str
