"""The library's card of labels in doubt: what was found, and what a person says to it."""

from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class DoubtWords:
    """Texts of the card.

    Attributes:
        found: (so many labels are contradicted) of those that were looked at, the placeholder ``{labelled}``.
        more: so many more were found than are kept.
        too_few: in the place of ``find``, where there are fewer than ``{least}`` labelled pictures.
        spoken: of a picture in doubt, from its label and the one of its neighbours.
    """

    title: str
    text: str
    find: str
    too_few: str
    when: str
    sample: str
    wrong: str
    found: Counted
    none: str
    answered: str
    more: Counted
    has: str
    neighbours: str
    sure: str
    give: str
    right: str
    spoken: str
    given: str
    confirmed: str
    take_back: str
    alone: str
    alone_text: str
    alone_picture: str
    alone_none: str


ENGLISH = DoubtWords(
    title="Labels that may be wrong",
    text=(
        "Each label is compared with those of the pictures that look most alike. Pictures that are like no other are "
        "shown as well. Nothing is changed until you say so."
    ),
    find="Check the labels",
    too_few="It takes {least} labelled pictures or more, with two labels or more.",
    when="Checked on {when}: {labelled} labelled pictures, whose neighbours name {share} of them right.",
    sample="A sample of {looked} of {all} pictures was looked at.",
    wrong="Likely wrong labels",
    found=Counted("{n} picture to judge", "{n} pictures to judge"),
    none="No label is contradicted by the pictures around it.",
    answered="All of them are answered. Check again to see whether there are more.",
    more=Counted("{n} more was found; check again after these.", "{n} more were found; check again after these."),
    has="Label now",
    neighbours="Those like it have",
    sure="{share} sure",
    give="Give it “{label}”",
    right="“{label}” is right",
    spoken="Picture with the label “{label}”; its neighbours have “{instead}”",
    given="“{instead}” was given in the place of “{label}”.",
    confirmed="“{label}” stays, and is not doubted again.",
    take_back="The Labels page can take this back.",
    alone="Pictures like no other",
    alone_text="The least like any other come first. They may be slips, such as a screenshot, or just rare.",
    alone_picture="Picture that is like no other",
    alone_none="There are too few pictures to tell.",
)

CHINESE = DoubtWords(
    title="可能有误的标签",
    text="把每个标签与最相似图片的标签作比较，并列出与众不同的图片。在您决定之前，不会更改任何内容。",
    find="检查标签",
    too_few="至少需要 {least} 张有标签的图片，且不少于两个标签。",
    when="检查时间：{when}；共 {labelled} 张有标签的图片，其中 {share} 与近邻一致。",
    sample="抽查了 {looked} 张图片，共 {all} 张。",
    wrong="很可能有误的标签",
    found=Counted("{n} 张图片待判断", "{n} 张图片待判断"),
    none="没有标签与周围的图片相矛盾。",
    answered="都已回答。再检查一次，看看是否还有。",
    more=Counted("另外还发现 {n} 张；回答完这些后请再检查一次。", "另外还发现 {n} 张；回答完这些后请再检查一次。"),
    has="现在的标签",
    neighbours="相似图片的标签",
    sure="把握 {share}",
    give="改为“{label}”",
    right="“{label}”没有错",
    spoken="标签为“{label}”的图片；相似图片的标签为“{instead}”",
    given="已把“{label}”改为“{instead}”。",
    confirmed="保留“{label}”，以后不再质疑。",
    take_back="可以在“标签”页面撤销。",
    alone="与众不同的图片",
    alone_text="最不像其他图片的排在前面。它们可能是误入的，例如截图，也可能只是少见。",
    alone_picture="与众不同的图片",
    alone_none="图片太少，无法判断。",
)
