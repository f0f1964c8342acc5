"""What surrounds every page: navigation, state of the gallery, language, colours."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class ShellWords:
    """Texts of the frame; the first five name the pages.

    Attributes:
        exact, approximate: how pictures are compared; ``index`` names the engine.
        gradio: what Gradio says in English whatever the language, to what stands in its place. An entry that ends in
            ``"for "`` stands for every text that begins so.
    """

    search: str
    library: str
    labels: str
    teach: str
    understand: str
    pages: str
    skip: str
    home: str
    language: str
    to_dark: str
    to_light: str
    images: Counted
    empty: str
    unknown: str
    read_only: str
    read_only_why: str
    model: str
    exact: str
    approximate: str
    index: str
    untrained_title: str
    untrained_text: str
    no_page_title: str
    no_page_text: str
    gradio: Mapping[str, str] = field(default_factory=dict)


ENGLISH = ShellWords(
    search="Search",
    library="Library",
    labels="Labels",
    teach="Teach",
    understand="Understand",
    pages="Pages",
    skip="Skip to the page",
    home="{title}: to the search",
    language="Language",
    to_dark="Dark colours",
    to_light="Light colours",
    images=Counted("{n} image", "{n} images"),
    empty="Empty gallery",
    unknown="The gallery cannot be read",
    read_only="To look at only",
    read_only_why="Here nothing can be changed.",
    model="Model: {name}",
    exact="Exact search",
    approximate="Fast search, nearly exact",
    index="Kind of index: {kind}",
    untrained_title="This gallery uses an UNTRAINED encoder: neighbours mean little.",
    untrained_text=(
        "It serves to try the program out. Index with a pretrained model to get neighbours that look alike."
    ),
    no_page_title="There is no page at this address",
    no_page_text="Choose one above.",
)

CHINESE = ShellWords(
    search="搜索",
    library="图库",
    labels="标签",
    teach="训练",
    understand="分析",
    pages="页面",
    skip="跳到页面内容",
    home="{title}：回到搜索",
    language="语言",
    to_dark="深色",
    to_light="浅色",
    images=Counted("{n} 张图片", "{n} 张图片"),
    empty="空图库",
    unknown="图库无法读取",
    read_only="只供查看",
    read_only_why="这里不能做任何更改。",
    model="模型：{name}",
    exact="精确搜索",
    approximate="快速搜索，近乎精确",
    index="索引类型：{kind}",
    untrained_title="此图库使用未经训练的编码器：近邻没有多少意义。",
    untrained_text="它只用来试用本程序。请用预训练模型建立索引，才能找到相似的图片。",
    no_page_title="这个地址没有页面",
    no_page_text="请从上方选择一个页面。",
    gradio={
        "Remove Image": "移除图片",
        "File upload": "上传文件",
        "Upload file": "上传文件",
        "Capture from camera": "用相机拍摄",
        "Paste from clipboard": "从剪贴板粘贴",
        "number input for ": "输入数字：",
        "range slider for ": "滑块：",
    },
)
