"""What refines a search: examples, parts, judgements, pages, copies, the gallery's pictures, filters."""

from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class RefineWords:
    """Texts of what can be done with a search and its results."""

    by_examples: Counted
    examples: str
    like: str
    unlike: str
    example: str
    upload: str
    take_away: str
    mark: str
    marked: str
    whole: str
    crop_title: str
    crop_how: str
    crop_box: str
    crop_place: str
    crop_search: str
    crop_cancel: str
    crop_missing: str
    add_photo: str
    yes: str
    no: str
    judged: Counted
    judged_kept: str
    judged_here: str
    judged_not_kept: str
    forget: str
    copies: Counted
    copy_of: str
    more_like: str
    less_like: str
    pages: str
    previous: str
    next: str
    page: str
    ranks: str
    nothing_title: str
    nothing_text: str
    browse: str
    browse_title: Counted
    browse_close: str
    browse_pick: str
    browse_range: str
    more_filters: str
    after: str
    before: str
    date_example: str
    min_side: str
    max_side: str
    min_size: str
    max_size: str
    size_example: str
    upload_gone: str
    upload_gone_hint: str
    link: str
    link_copied: str
    as_table: str
    as_copies: str
    at_most: str
    history: str
    history_pick: str
    history_clear: str


ENGLISH = RefineWords(
    by_examples=Counted("{n} picture that fits your examples", "{n} pictures that fit your examples"),
    examples="What is searched with",
    like="Like",
    unlike="Unlike",
    example="Example {n}",
    upload="Your photo",
    take_away="Take this example away",
    mark="Mark a part",
    marked="Only the marked part is searched with.",
    whole="Use the whole picture",
    crop_title="Mark the part to search with",
    crop_how="Drag over the picture. With the keyboard: arrow keys move the frame, with Shift they change its size.",
    crop_box="The marked part",
    crop_place="From {left} % to {right} % of the width and from {top} % to {bottom} % of the height",
    crop_search="Search with this part",
    crop_cancel="Cancel",
    crop_missing="This picture cannot be shown, so no part of it can be marked.",
    add_photo="Add the next photo to the examples",
    yes="This is what I look for",
    no="This is not what I look for",
    judged=Counted("Ordered by {n} judgement of yours.", "Ordered by {n} judgements of yours."),
    judged_kept="They are kept, and can teach the gallery later.",
    judged_here="They count for this search only.",
    judged_not_kept="The last one counts here, and could not be kept: {reason}",
    forget="Order without them",
    copies=Counted("+{n} copy", "+{n} copies"),
    copy_of="Nearly the same picture as number {rank}",
    more_like="More like this",
    less_like="Less like this",
    pages="Pages of results",
    previous="Previous page",
    next="Next page",
    page="Page {n}",
    ranks="from place {first} on",
    nothing_title="Probably nothing like this is here",
    nothing_text=(
        "A picture that does have a match in this gallery nearly always comes closer to one than yours does. What "
        "follows is the least different, not a match."
    ),
    browse="Browse all pictures",
    browse_title=Counted("{n} picture in the gallery", "{n} pictures in the gallery"),
    browse_close="Close",
    browse_pick="Search with picture {n}",
    browse_range="{first} to {last}",
    more_filters="Date and size",
    after="Taken on or after",
    before="Taken before",
    date_example="2024-05-17",
    min_side="Shorter side at least (pixels)",
    max_side="Longer side at most (pixels)",
    min_size="File at least",
    max_size="File at most",
    size_example="2MB",
    upload_gone="The photo of this search is not on the server any more.",
    upload_gone_hint="Choose it again.",
    link="Link to this search",
    link_copied="Copied",
    as_table="Save as a table",
    as_copies="Save copies",
    at_most="Of all pages, up to {count} pictures",
    history="Searched with before",
    history_pick="Search again with photo {n}",
    history_clear="Forget these",
)

CHINESE = RefineWords(
    by_examples=Counted("与您的示例相符的 {n} 张图片", "与您的示例相符的 {n} 张图片"),
    examples="用来搜索的图片",
    like="相似",
    unlike="不相似",
    example="示例 {n}",
    upload="您的照片",
    take_away="去掉这个示例",
    mark="框选一部分",
    marked="只用框选的部分搜索。",
    whole="使用整张图片",
    crop_title="框选用来搜索的部分",
    crop_how="在图片上拖动。用键盘：方向键移动选框，按住 Shift 则改变大小。",
    crop_box="框选的部分",
    crop_place="宽度的 {left} % 到 {right} %，高度的 {top} % 到 {bottom} %",
    crop_search="用这部分搜索",
    crop_cancel="取消",
    crop_missing="无法显示这张图片，因此不能框选。",
    add_photo="把下一张照片加入示例",
    yes="这正是我要找的",
    no="这不是我要找的",
    judged=Counted("按您的 {n} 次评判排序。", "按您的 {n} 次评判排序。"),
    judged_kept="评判会保存下来，以后可以用来教图库。",
    judged_here="评判只用于这次搜索。",
    judged_not_kept="最后一次评判在这里有效，但未能保存：{reason}",
    forget="不按评判排序",
    copies=Counted("+{n} 张副本", "+{n} 张副本"),
    copy_of="与第 {rank} 名几乎相同的图片",
    more_like="多找这样的",
    less_like="少找这样的",
    pages="结果的页",
    previous="上一页",
    next="下一页",
    page="第 {n} 页",
    ranks="从第 {first} 名起",
    nothing_title="这里很可能没有类似的图片",
    nothing_text="在图库中确有同类的图片，几乎总会与其中某一张更为接近。下面只是差别最小的，并不是匹配。",
    browse="浏览全部图片",
    browse_title=Counted("图库中的 {n} 张图片", "图库中的 {n} 张图片"),
    browse_close="关闭",
    browse_pick="用图片 {n} 搜索",
    browse_range="第 {first} 到 {last} 张",
    more_filters="日期和大小",
    after="拍摄于此日或之后",
    before="拍摄于此日之前",
    date_example="如 2024-05-17",
    min_side="短边至少（像素）",
    max_side="长边至多（像素）",
    min_size="文件至少",
    max_size="文件至多",
    size_example="如 2MB",
    upload_gone="这次搜索的照片已不在服务器上。",
    upload_gone_hint="请重新选择。",
    link="此次搜索的链接",
    link_copied="已复制",
    as_table="保存为表格",
    as_copies="保存副本",
    at_most="所有页，最多 {count} 张图片",
    history="以前搜索过的照片",
    history_pick="再用照片 {n} 搜索",
    history_clear="清除这些",
)
