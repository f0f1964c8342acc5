"""Where two pictures match: the view that shows both."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatchWords:
    """Texts of that view.

    Attributes:
        part, part_none: said of the part that is pointed at; of one with a best part in the other picture, and of one
            without.
    """

    button: str
    title: str
    busy: str
    lost: str
    close: str
    query: str
    query_first: str
    image: str
    how: str
    parts: str
    part: str
    part_none: str
    least: str
    most: str
    strength: str
    exact: str
    rough: str
    edges: str
    missing: str


ENGLISH = MatchWords(
    button="Where do they match?",
    title="Where the two pictures match",
    busy="Comparing the two pictures…",
    lost="No answer came. Close this and try once more.",
    close="Close",
    query="What you searched with",
    query_first="The first of your examples",
    image="What was found",
    how="Point at a part of one picture, or move there with the arrow keys: its match in the other one lights up.",
    parts="{name}: choose a part with the arrow keys",
    part=(
        "Row {row} of {rows}, part {column} of {columns}: {share} % as strong as the strongest. Its best match is row "
        "{other_row}, part {other_column} of the other picture."
    ),
    part_none="Row {row} of {rows}, part {column} of {columns}: nothing in the other picture goes with it.",
    least="no match",
    most="strongest",
    strength="Colour over the pictures",
    exact="Bright is what the search saw in both, dark what it did not. All parts together make the score, {score}.",
    rough=(
        "Bright is what the search saw in both, dark what it did not. This model does not make its score, {score}, "
        "from parts, so each part was compared by itself: take it as a hint."
    ),
    edges="The pale edges are cut off before the search looks.",
    missing="This picture cannot be shown.",
)

CHINESE = MatchWords(
    button="哪里相似？",
    title="两张图片哪里相似",
    busy="正在比较两张图片……",
    lost="没有收到结果。请关闭后再试一次。",
    close="关闭",
    query="用来搜索的图片",
    query_first="您的第一个示例",
    image="找到的图片",
    how="指向一张图片的某一处，或用方向键移到那里：另一张图片中与之相似的部分会亮起来。",
    parts="{name}：用方向键选择一处",
    part=(
        "第 {row} 行（共 {rows} 行）第 {column} 处（共 {columns} 处）：强度为最强处的 {share} %。"
        "在另一张图片中与第 {other_row} 行第 {other_column} 处最相似。"
    ),
    part_none="第 {row} 行（共 {rows} 行）第 {column} 处（共 {columns} 处）：另一张图片中没有与之相似的部分。",
    least="不相似",
    most="最相似",
    strength="图片上的颜色",
    exact="明亮处是搜索在两张图片中都看到的，昏暗处不是。所有部分合起来就是得分 {score}。",
    rough=(
        "明亮处是搜索在两张图片中都看到的，昏暗处不是。"
        "这个模型的得分 {score} 不是由各部分相加得出的，因此每一处是单独比较的，仅供参考。"
    ),
    edges="泛白的边缘在搜索前已被裁去。",
    missing="无法显示这张图片。",
)
