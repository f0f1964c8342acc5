"""The page where pictures get their labels."""

from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class LabelWords:
    """Texts of the head, of the parts of the page, and of what was done."""

    progress: str
    labelled: Counted
    automatic: Counted
    next_index: str
    next_begin: str
    next_more: str
    next_teach: str
    next_done: str
    lacking: Counted
    thin: Counted
    and_more: str
    nothing_to_undo: str
    last_change: str
    undo: str
    quoted: str
    given_to: Counted
    taken_from: Counted
    imported_for: Counted
    folders_for: Counted
    automatic_for: Counted
    undone: str
    parts: str
    tab_pick: str
    tab_groups: str
    tab_ask: str
    tab_files: str
    keys: str
    close: str
    tiles: str
    key_move: str
    key_select: str
    key_range: str
    key_all: str
    key_none: str
    key_label: str
    key_recent: str
    key_take: str
    key_near: str
    key_pages: str
    key_undo: str
    key_keys: str
    show: str
    show_unlabelled: str
    show_all: str
    show_automatic: str
    show_label: str
    near: str
    near_off: str
    this_picture: str
    pictures: Counted
    automatic_spoken: str
    automatic_title: str
    pages: str
    page_of: str
    previous: str
    next: str
    dock: str
    selected_none: str
    selected: Counted
    select_page: str
    select_none: str
    take_away: str
    label: str
    label_here: str
    give: str
    recent: str
    all_labelled: str
    all_labelled_text: str
    nothing_here: str
    nothing_here_text: str
    no_label_given: str
    no_label_given_hint: str
    nothing_selected: str
    nothing_selected_hint: str
    loading: str
    grouping: str
    groups_said: Counted
    groups_sample: str
    groups_again: str
    no_groups: str
    no_groups_text: str
    group: Counted
    group_label: str
    group_here: str
    accept_group: str
    key_stranger: str
    key_name: str
    asking: str
    questions_said: Counted
    next_questions: str
    accept_all: str
    question_spoken: str
    sure: str
    accept: str
    skip: str
    auto_title: str
    auto_text: str
    auto: str
    auto_none: str
    auto_done: Counted
    auto_done_text: str
    too_few: str
    too_few_text: str
    key_accept: str
    key_correct: str
    key_skip: str
    key_accept_all: str
    save_title: str
    save_text: str
    save: str
    save_automatic: str
    folders_title: str
    folders_text: str
    folders: str
    folders_done: Counted
    send_title: str
    send_text: str
    send: str
    sent: Counted
    rows_left: Counted
    row: str
    row_no_path: str
    row_no_label: str
    row_unknown: str
    row_bad_path: str
    no_table: str


ENGLISH = LabelWords(
    progress="How far the labelling is",
    labelled=Counted("{{labelled}} of {n} picture has a label", "{{labelled}} of {n} pictures have a label"),
    automatic=Counted(
        "{n} more labelled automatically, not confirmed", "{n} more labelled automatically, not confirmed"
    ),
    next_index="Index some pictures first; then they can be labelled here.",
    next_begin="Next: give {least} labels or more to at least {enough} pictures each. Then you can teach.",
    next_more="Next: label {labels}. Then you can teach.",
    next_teach="There is enough to teach with. Every further label makes the result better, and surer.",
    next_done="Every picture has a label: you can teach.",
    lacking=Counted("{n} more “{{label}}”", "{n} more “{{label}}”"),
    thin=Counted("{n} label has fewer than {{enough}} pictures:", "{n} labels have fewer than {{enough}} pictures:"),
    and_more="and {n} more",
    nothing_to_undo="Nothing has been changed that could be taken back.",
    last_change="Last change",
    undo="Undo",
    quoted="“{label}”",
    given_to=Counted("{{labels}} given to {n} picture", "{{labels}} given to {n} pictures"),
    taken_from=Counted("{{labels}} taken from {n} picture", "{{labels}} taken from {n} pictures"),
    imported_for=Counted("{{labels}} from a table, for {n} picture", "{{labels}} from a table, for {n} pictures"),
    folders_for=Counted(
        "{{labels}} from folder names, for {n} picture", "{{labels}} from folder names, for {n} pictures"
    ),
    automatic_for=Counted("{{labels}} proposed for {n} picture", "{{labels}} proposed for {n} pictures"),
    undone="Taken back: {change}",
    parts="Ways to label",
    tab_pick="Pick pictures",
    tab_groups="Look-alikes",
    tab_ask="Suggestions",
    tab_files="Tables and folders",
    keys="Keys",
    close="Close",
    tiles="Pictures; arrows move, space selects",
    key_move="move",
    key_select="select, or not",
    key_range="select what lies between",
    key_all="select the whole page",
    key_none="select nothing",
    key_label="type a label for what is selected",
    key_recent="give one of the last labels",
    key_take="take the labels away",
    key_near="show what looks like this one",
    key_pages="page back, page on",
    key_undo="undo the last change",
    key_keys="show these keys",
    show="Show",
    show_unlabelled="Without a label",
    show_all="All pictures",
    show_automatic="Labelled automatically",
    show_label="With the label",
    near="What looks like this picture comes first",
    near_off="Back to the usual order",
    this_picture="The picture that the others are compared with",
    pictures=Counted("{n} picture", "{n} pictures"),
    automatic_spoken="{label}, automatic",
    automatic_title="Labelled automatically, {chance} sure; nobody has confirmed it",
    pages="Pages",
    page_of="Page {page} of {pages}",
    previous="Previous",
    next="Next",
    dock="Label what is selected",
    selected_none="Nothing is selected",
    selected=Counted("1 selected", "{n} selected"),
    select_page="Whole page",
    select_none="None",
    take_away="Take labels away",
    label="Label",
    label_here="Type a label",
    give="Label",
    recent="Last labels",
    all_labelled="Every picture has a label",
    all_labelled_text="Choose “All pictures” above to look at them once more.",
    nothing_here="No picture here",
    nothing_here_text="Choose other pictures above, or clear the folder.",
    no_label_given="There is no label yet.",
    no_label_given_hint="Type what the pictures show.",
    nothing_selected="No picture is selected.",
    nothing_selected_hint="Click some first, or press space on them.",
    loading="Fetching the pictures …",
    grouping="Putting together what looks alike …",
    groups_said=Counted(
        "{{groups}} groups among {n} picture without a label{{of}}. Click what does not belong, then name the rest.",
        "{{groups}} groups among {n} pictures without a label{{of}}. Click what does not belong, then name the rest.",
    ),
    groups_sample=", drawn from {of}",
    groups_again="Other groups",
    no_groups="No pictures look alike here",
    no_groups_text="Label some by hand under “Pick pictures”.",
    group=Counted("Group {{place}}: {n} picture", "Group {{place}}: {n} pictures"),
    group_label="Label of group {place}",
    group_here="What do they show?",
    accept_group="Label",
    key_stranger="take a picture out of its group, or back in",
    key_name="name the group",
    asking="Looking for the pictures that teach most …",
    questions_said=Counted(
        "Out of {n} picture without a label{{of}}, these teach most. The suggestions come from {{known}} labelled"
        " pictures, which label each other right in {{right}} of the cases.",
        "Out of {n} pictures without a label{{of}}, these teach most. The suggestions come from {{known}} labelled"
        " pictures, which label each other right in {{right}} of the cases.",
    ),
    next_questions="Next suggestions",
    accept_all="Accept all",
    question_spoken="Suggested: {label}, {chance} sure",
    sure="{chance} sure",
    accept="Accept",
    skip="Skip",
    auto_title="Label what is sure by itself",
    auto_text="Pictures of which the suggestion is at least 90% sure get it, marked as automatic until you accept it."
    " Nothing is taught from them, and one undo takes all of it back.",
    auto="Label automatically",
    auto_none="No suggestion is sure enough yet",
    auto_done=Counted("{n} picture is labelled automatically", "{n} pictures are labelled automatically"),
    auto_done_text="They are under “Pick pictures”, “Labelled automatically”; undo takes all of them back.",
    too_few="There are too few labels to suggest more",
    too_few_text="Label {least} pictures first, with {labels} labels or more: under “Pick pictures” or “Look-alikes”.",
    key_accept="accept the suggestion",
    key_correct="correct it",
    key_skip="skip it",
    key_accept_all="accept all that are shown",
    save_title="Save the labels",
    save_text="As a table with a row for each picture and label, which can be sent back here, and which any spreadsheet"
    " opens.",
    save="Save as a table",
    save_automatic="With automatic labels",
    folders_title="Labels from folder names",
    folders_text="Each picture gets the name of the folder that holds it, also where that was taken away before.",
    folders="Take the folder names",
    folders_done=Counted("{n} label given by folder name", "{n} labels given by folder name"),
    send_title="Send a table",
    send_text="A CSV file whose first line names the columns `path` and `label`. A path is whole, or begins in one of"
    " the indexed folders. Labels that are there already stay.",
    send="Choose a table …",
    sent=Counted("{n} label given, by a table with {{rows}} rows", "{n} labels given, by a table with {{rows}} rows"),
    rows_left=Counted("{n} row could not be used; the others were.", "{n} rows could not be used; the others were."),
    row="Line {line}",
    row_no_path="names no picture; its label is",
    row_no_label="has no label, for",
    row_unknown="names a picture that is not in the gallery:",
    row_bad_path="names what cannot be a file here:",
    no_table="No table arrived.",
)

CHINESE = LabelWords(
    progress="标注进度",
    labelled=Counted("{n} 张图片中 {{labelled}} 张有标签", "{n} 张图片中 {{labelled}} 张有标签"),
    automatic=Counted("另有 {n} 张自动标注，尚未确认", "另有 {n} 张自动标注，尚未确认"),
    next_index="请先为一些图片建立索引，然后就可以在这里标注。",
    next_begin="下一步：至少给出 {least} 个标签，每个标签不少于 {enough} 张图片。然后就可以训练。",
    next_more="下一步：再标注 {labels}。然后就可以训练。",
    next_teach="标签已足够训练。每多一个标签，结果就会更好、更可靠。",
    next_done="每张图片都有标签：可以训练了。",
    lacking=Counted("{n} 张「{{label}}」", "{n} 张「{{label}}」"),
    thin=Counted("{n} 个标签少于 {{enough}} 张图片：", "{n} 个标签少于 {{enough}} 张图片："),
    and_more="另外 {n} 个",
    nothing_to_undo="没有可以撤销的更改。",
    last_change="上次更改",
    undo="撤销",
    quoted="「{label}」",
    given_to=Counted("为 {n} 张图片加上{{labels}}", "为 {n} 张图片加上{{labels}}"),
    taken_from=Counted("从 {n} 张图片去掉{{labels}}", "从 {n} 张图片去掉{{labels}}"),
    imported_for=Counted("从表格为 {n} 张图片加上{{labels}}", "从表格为 {n} 张图片加上{{labels}}"),
    folders_for=Counted("按文件夹名为 {n} 张图片加上{{labels}}", "按文件夹名为 {n} 张图片加上{{labels}}"),
    automatic_for=Counted("自动为 {n} 张图片建议{{labels}}", "自动为 {n} 张图片建议{{labels}}"),
    undone="已撤销：{change}",
    parts="标注方式",
    tab_pick="挑选图片",
    tab_groups="相似的图片",
    tab_ask="建议",
    tab_files="表格与文件夹",
    keys="快捷键",
    close="关闭",
    tiles="图片；方向键移动，空格键选择",
    key_move="移动",
    key_select="选择或取消",
    key_range="选择中间的全部",
    key_all="选择整页",
    key_none="全部取消",
    key_label="为所选图片输入标签",
    key_recent="给出最近用过的标签",
    key_take="去掉标签",
    key_near="查看与这张相似的图片",
    key_pages="上一页、下一页",
    key_undo="撤销上次更改",
    key_keys="显示这些快捷键",
    show="显示",
    show_unlabelled="没有标签的",
    show_all="全部图片",
    show_automatic="自动标注的",
    show_label="带有标签",
    near="与这张相似的图片排在前面",
    near_off="恢复平常的顺序",
    this_picture="用来比较的图片",
    pictures=Counted("{n} 张图片", "{n} 张图片"),
    automatic_spoken="{label}，自动",
    automatic_title="自动标注，把握 {chance}；尚无人确认",
    pages="分页",
    page_of="第 {page} 页，共 {pages} 页",
    previous="上一页",
    next="下一页",
    dock="为所选图片加标签",
    selected_none="没有选择图片",
    selected=Counted("已选 1 张", "已选 {n} 张"),
    select_page="整页",
    select_none="取消选择",
    take_away="去掉标签",
    label="标签",
    label_here="输入标签",
    give="加上标签",
    recent="最近用过的标签",
    all_labelled="每张图片都有标签",
    all_labelled_text="在上方选择“全部图片”，可以再看一遍。",
    nothing_here="这里没有图片",
    nothing_here_text="请在上方选择其他图片，或清空文件夹。",
    no_label_given="还没有标签。",
    no_label_given_hint="请输入图片上是什么。",
    nothing_selected="没有选择图片。",
    nothing_selected_hint="请先点击几张，或在图片上按空格键。",
    loading="正在取图片……",
    grouping="正在把相似的图片放到一起……",
    groups_said=Counted(
        "{n} 张没有标签的图片{{of}}分成 {{groups}} 组。点击不属于该组的图片，再为其余的命名。",
        "{n} 张没有标签的图片{{of}}分成 {{groups}} 组。点击不属于该组的图片，再为其余的命名。",
    ),
    groups_sample="（从 {of} 张中抽取）",
    groups_again="换一批",
    no_groups="这里没有相似的图片",
    no_groups_text="请在“挑选图片”中手动标注一些。",
    group=Counted("第 {{place}} 组：{n} 张图片", "第 {{place}} 组：{n} 张图片"),
    group_label="第 {place} 组的标签",
    group_here="它们是什么？",
    accept_group="加上标签",
    key_stranger="把图片移出该组或放回",
    key_name="为该组命名",
    asking="正在寻找最值得标注的图片……",
    questions_said=Counted(
        "在 {n} 张没有标签的图片{{of}}中，这些最值得标注。"
        "建议来自 {{known}} 张已标注的图片，它们互相标注的正确率为 {{right}}。",
        "在 {n} 张没有标签的图片{{of}}中，这些最值得标注。"
        "建议来自 {{known}} 张已标注的图片，它们互相标注的正确率为 {{right}}。",
    ),
    next_questions="下一批建议",
    accept_all="全部接受",
    question_spoken="建议：{label}，把握 {chance}",
    sure="把握 {chance}",
    accept="接受",
    skip="跳过",
    auto_title="自动标注有把握的图片",
    auto_text="把握不低于 90% 的图片会得到建议的标签，并注明为自动，直到您接受。"
    "训练不会使用它们，一次撤销即可全部收回。",
    auto="自动标注",
    auto_none="还没有足够有把握的建议",
    auto_done=Counted("已自动标注 {n} 张图片", "已自动标注 {n} 张图片"),
    auto_done_text="它们在“挑选图片”的“自动标注的”中；撤销可全部收回。",
    too_few="标签太少，还不能给出建议",
    too_few_text="请先在“挑选图片”或“相似的图片”中标注 {least} 张图片，至少使用 {labels} 个标签。",
    key_accept="接受建议",
    key_correct="更正",
    key_skip="跳过",
    key_accept_all="接受显示的全部建议",
    save_title="保存标签",
    save_text="保存为表格，每行一张图片和一个标签；可以再发送回这里，也可以用任何电子表格软件打开。",
    save="保存为表格",
    save_automatic="包括自动标签",
    folders_title="用文件夹名作标签",
    folders_text="每张图片得到其所在文件夹的名字，即使这个标签以前被去掉过。",
    folders="使用文件夹名",
    folders_done=Counted("按文件夹名加上了 {n} 个标签", "按文件夹名加上了 {n} 个标签"),
    send_title="发送表格",
    send_text="CSV 文件，第一行写明列名 `path` 和 `label`。"
    "路径可以是完整的，也可以从已索引的文件夹写起。已有的标签保持不变。",
    send="选择表格……",
    sent=Counted("表格共 {{rows}} 行，加上了 {n} 个标签", "表格共 {{rows}} 行，加上了 {n} 个标签"),
    rows_left=Counted("有 {n} 行无法使用，其余的已使用。", "有 {n} 行无法使用，其余的已使用。"),
    row="第 {line} 行",
    row_no_path="没有写明图片；标签是",
    row_no_label="没有标签：",
    row_unknown="图库中没有这张图片：",
    row_bad_path="这里不可能有这样的文件：",
    no_table="没有收到表格。",
)
