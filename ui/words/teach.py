"""Texts of the page on which the gallery's encoder is taught."""

from collections.abc import Mapping
from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class TeachWords:
    """Texts of the page.

    Attributes:
        parts: what is being done, by what a job calls it.
        alarms: what a sign of failure means and what to do, by its name in ``training.alarms``.
    """

    lead: str
    # -- 1
    ready_title: str
    ready_yes: str
    ready_images: Counted
    ready_labels: Counted
    ready_no_labels: str
    ready_no_pairs: str
    ready_more: str
    to_labels: str
    alone: Counted
    held_out: Counted
    held_out_why: str
    held_out_new: str
    nothing_indexed: str
    # -- 2
    choose_title: str
    quick: str
    quick_text: str
    quick_expect: str
    deep: str
    deep_text: str
    deep_expect: str
    cost: str
    cost_range: str
    cost_memory: str
    cost_device: str
    cost_wait: str
    cost_unknown: str
    processor: str
    graphics: str
    chosen: str
    more: str
    recipe: str
    recipe_info: str
    recipe_own: str
    epochs: str
    epochs_info: str
    start: str
    # -- 3
    watch_title: str
    none_yet: str
    queued: str
    running: str
    stopping: str
    done: str
    failed: str
    cancelled: str
    lost: str
    broken: str
    goes_on: str
    stop: str
    resume: str
    switch_job: str
    calibrate_job: str
    lesson_job: str
    lesson_number: str
    left: str
    of_total: str
    epoch: str
    working: str
    parts: Mapping[str, str]
    curve_validation: str
    curve_loss: str
    curve_spoken: str
    curve_waits: str
    try_number: str
    whole: str
    alarm: str
    alarms: Mapping[str, str]
    log: str
    log_empty: str
    # -- 4
    proof_title: str
    proof_none: str
    better: str
    open: str
    worse: str
    first_right: str
    first_sure: str
    all_right: str
    all_sure: str
    asked: Counted
    measure: str
    before: str
    after: str
    gains: str
    losses: str
    no_gains: str
    no_losses: str
    class_line: str
    rows_better: str
    rows_worse: str
    rows_hint: str
    query: str
    no_picture: str
    match_right: str
    match_wrong: str
    report: str
    outdated: str
    # -- 5
    switch_title: str
    gate_yes: str
    gate_no: str
    gate_first: str
    gate_all: str
    gate_perfect: str
    gate_leaks: Counted
    gate_other: str
    gate_hint: str
    switch_ask: str
    force_ask: str
    looking: str
    switch_cost: str
    switch_cost_none: str
    switch_disk: str
    switch_cover: str
    switch_away: Counted
    switch_meanwhile: str
    switch_now: str
    force_warning: str
    force_now: str
    not_now: str
    switching: str
    is_live: str
    back_ask: str
    back_means: str
    back_now: str
    went_back: str
    # -- 6
    models_title: str
    models_lead: str
    live: str
    kept: str
    untrained: str
    made: str
    from_what: str
    numbers: str
    covers: str
    size: str
    chances: str
    chances_yes: str
    chances_no: str
    figures: str
    figures_line: str
    forced: str
    use_again: str
    drop_ask: str
    drop_means: str
    drop_now: str
    calibrate: str
    calibrate_means: str
    dropped: str


ENGLISH = TeachWords(
    lead="Teach the search with your labels. It is tried on photos it has not seen, and used only if you say so.",
    ready_title="What there is to learn from",
    ready_yes="There is enough to begin.",
    ready_images=Counted("{n} labelled photo", "{n} labelled photos"),
    ready_labels=Counted("{n} label", "{n} labels"),
    ready_no_labels="Two different labels are needed at least. Give some photos labels first.",
    ready_no_pairs="Every label has only one photo. A label teaches something once two photos carry it.",
    ready_more="Too few photos a label to learn from some and test with others. Add some: five a label is good.",
    to_labels="To the labels",
    alone=Counted(
        "{n} label has a single photo and teaches nothing yet.",
        "{n} labels have a single photo each and teach nothing yet.",
    ),
    held_out=Counted("{n} photo is held out for the test.", "{n} photos are held out for the test."),
    held_out_why="The lesson never sees them, so what they show is not learned by heart.",
    held_out_new="They carry labels that the lesson does not know: the test is on new things.",
    nothing_indexed="Nothing is indexed yet. Index a folder first.",
    choose_title="Choose a lesson",
    quick="Quick lesson",
    quick_text="Keeps the way photos are read, and learns anew which differences count. The first thing to try.",
    quick_expect="Often a clear gain: 67 instead of 51 right of 100 on groceries, 86 instead of 83 on flowers.",
    deep="Deep lesson",
    deep_text="Also changes the way photos are read. For when the quick lesson is not enough.",
    deep_expect="Can gain more, or nothing: then the start is kept.",
    cost="On this machine",
    cost_range="{low} to {high}",
    cost_memory="about {size} of memory",
    cost_device="on the {device}",
    cost_wait="Measuring a few steps …",
    cost_unknown="Not known",
    processor="processor",
    graphics="graphics card",
    chosen="Chosen",
    more="More choices",
    recipe="Exact recipe",
    recipe_info="Of the deep lesson",
    recipe_own="The usual one",
    epochs="Rounds at most",
    epochs_info="How often all photos are gone through; 0 leaves it to the recipe",
    start="Start the lesson",
    watch_title="The lesson",
    none_yet="No lesson has been started yet.",
    queued="Waits for other work to end.",
    running="Is running. You can close this page: it goes on.",
    stopping="Is being stopped; what was learned is kept.",
    done="Has ended.",
    failed="Could not go on.",
    cancelled="Was stopped. What was learned is kept.",
    lost="Was ended from outside: its process was killed, or the machine went down. What was learned is kept.",
    broken="Its files cannot be read. Start a new one.",
    goes_on="It can go on from where it stopped.",
    stop="Stop",
    resume="Go on",
    switch_job="Switching",
    calibrate_job="Working out chances",
    lesson_job="Lesson",
    lesson_number="{what} {n}",
    left="about {time} left in this part",
    of_total="{done} of {total}",
    epoch="round {n} of {total}",
    working="Working",
    parts={
        "Training": "Learning",
        "Embedding": "Reading photos with the new model",
        "Preparing pictures": "Preparing photos",
        "Embedding with the start encoder": "Reading photos with the present model",
        "Embedding with the trained encoder": "Reading photos with the new model",
        "Embedding with the encoder as it is now": "Testing on photos it does not learn from",
        "Waiting for another process": "Waiting for other work on the gallery",
    },
    curve_validation="Right answers while learning",
    curve_loss="Error while learning",
    curve_spoken="{name}: from {first} to {last}, best {best}",
    curve_waits="The curve appears with the first results.",
    try_number="Attempt {n}",
    whole="The whole model",
    alarm="A warning sign",
    alarms={
        "loss = margin": "It stands still: everything looks alike to it. Stop it and try the quick lesson.",
        "loss = chance": "It learns nothing so far: answers are as good as guesses. Check the labels, or stop it.",
        "complete collapse": "All photos look the same to it now. Stop it; nothing of this would be used.",
        "dimensional collapse": "It sees fewer differences than before. Add labels, or try the quick lesson.",
        "exploding norm": "Its numbers grow without end. Stop it and try the quick lesson.",
    },
    log="Messages",
    log_empty="No messages.",
    proof_title="Before and after",
    proof_none="The comparison appears here when a lesson has ended.",
    better="The new search is better, and that is no accident.",
    open="It is not certain that the new search is better.",
    worse="The new search is worse.",
    first_right="The right thing comes first for {after} of 100 photos; before, for {before}.",
    first_sure="Sure within {low} to {high} of 100. The change lies between {dlow} and {dhigh}.",
    all_right="Of all that belongs together, {after} of 100 is found in front; before, {before}.",
    all_sure="Sure within {low} to {high} of 100. The change lies between {dlow} and {dhigh}.",
    asked=Counted("Tested with {n} held-out photo.", "Tested with {n} held-out photos."),
    measure="{name}, of 100",
    before="Before",
    after="After",
    gains="Labels that gained most",
    losses="Labels that lost",
    no_gains="No label gained.",
    no_losses="No label lost.",
    class_line="{before} → {after} of 100",
    rows_better="Searches that got better",
    rows_worse="Searches that got worse",
    rows_hint="Framed photos are right.",
    query="Photo searched with, {label}",
    no_picture="No longer in the gallery",
    match_right="Place {n}: {label}, right",
    match_wrong="Place {n}: {label}, wrong",
    report="Full report (in English)",
    outdated="The search in use now is another one than the lesson began with: the comparison is with that older one.",
    switch_title="Use it",
    gate_yes="Proven better on photos it has not seen. You can switch.",
    gate_no="Not proven, so the present search stays.",
    gate_first="First places: the change of {mean} of 100 may be chance; it lies between {low} and {high}.",
    gate_all="All matches: the change of {mean} of 100 may be chance; it lies between {low} and {high}.",
    gate_perfect="Everything was right before already: there was nothing left to prove.",
    gate_leaks=Counted(
        "{n} nearly equal photo stands in the lesson and in the test.",
        "{n} groups of nearly equal photos stand in the lesson and in the test.",
    ),
    gate_other="The run's files do not hold the whole proof.",
    gate_hint="More labelled photos help most: in the lesson, and in the test, which becomes surer.",
    switch_ask="Switch to it …",
    force_ask="Use it all the same …",
    looking="Looking at time and disk space …",
    switch_cost="{n} photos are read once with the new model: about {time}.",
    switch_cost_none="All photos have been read with the new model already: it takes seconds.",
    switch_disk="It takes about {size} of disk; {free} are free.",
    switch_cover="The gallery has {n} photos.",
    switch_away=Counted("{n} photo cannot be reached now.", "{n} photos cannot be reached now."),
    switch_meanwhile="The present search answers all the while, and is kept: you can go back.",
    switch_now="Switch now",
    force_warning=(
        "Searches may get worse: it is not proven that this model is better. "
        "Photos that cannot be read now will be missing."
    ),
    force_now="Switch without proof",
    not_now="Not now",
    switching="The switch is on its way. The present search answers until then.",
    is_live="The new search is in use.",
    back_ask="Go back …",
    back_means="The search before the last switch is used again at once. The new one is kept, and can be used again.",
    back_now="Go back now",
    went_back="The former search is in use again.",
    models_title="Models",
    models_lead="What reads the photos of this gallery, and what was kept.",
    live="In use",
    kept="Kept",
    untrained="Untrained",
    made="Made",
    from_what="From",
    numbers="Numbers a photo",
    covers="Photos",
    size="On disk",
    chances="Chances",
    chances_yes="Shown",
    chances_no="Not worked out",
    figures="Test",
    figures_line="first place right for {after} of 100, before {before}",
    forced="Switched to without proof",
    use_again="Use this one …",
    drop_ask="Delete …",
    drop_means="What was read with it is deleted: {size}. Photos and labels stay. To use it again, all is read anew.",
    drop_now="Delete it",
    calibrate="Work out chances",
    calibrate_means="From your labels: how likely two photos with a given score show the same thing.",
    dropped="Deleted.",
)

CHINESE = TeachWords(
    lead="用您的标签训练搜索。它会在没有见过的照片上受检验，只有您同意才会启用。",
    ready_title="可以学习的内容",
    ready_yes="已经足够，可以开始。",
    ready_images=Counted("{n} 张有标签的照片", "{n} 张有标签的照片"),
    ready_labels=Counted("{n} 个标签", "{n} 个标签"),
    ready_no_labels="至少需要两个不同的标签。请先给一些照片加上标签。",
    ready_no_pairs="每个标签都只有一张照片。至少两张照片带有同一标签，才能学到东西。",
    ready_more="每个标签的照片太少，无法一部分用来学习、一部分用来检验。请再加一些：每个标签五张较好。",
    to_labels="前往标签页",
    alone=Counted("{n} 个标签只有一张照片，暂时学不到东西。", "{n} 个标签各只有一张照片，暂时学不到东西。"),
    held_out=Counted("留出 {n} 张照片用于检验。", "留出 {n} 张照片用于检验。"),
    held_out_why="训练从不看它们，所以它们显示的结果不是死记硬背。",
    held_out_new="它们的标签是训练中没有的：检验的是新事物。",
    nothing_indexed="还没有任何索引。请先为一个文件夹建立索引。",
    choose_title="选择训练方式",
    quick="快速训练",
    quick_text="保留读取照片的方式，重新学习哪些差别重要。建议先试这个。",
    quick_expect="往往有明显提高：食品杂货每 100 张由 51 张对变为 67 张，花卉由 83 张变为 86 张。",
    deep="深入训练",
    deep_text="连读取照片的方式也一起改变。快速训练不够时再用。",
    deep_expect="可能提高更多，也可能没有提高：那时保留原样。",
    cost="在这台机器上",
    cost_range="{low} 至 {high}",
    cost_memory="约需内存 {size}",
    cost_device="使用{device}",
    cost_wait="正在试跑几步……",
    cost_unknown="未知",
    processor="处理器",
    graphics="显卡",
    chosen="已选择",
    more="更多选项",
    recipe="具体配方",
    recipe_info="用于深入训练",
    recipe_own="通常的配方",
    epochs="最多轮数",
    epochs_info="所有照片过几遍；0 表示由配方决定",
    start="开始训练",
    watch_title="训练过程",
    none_yet="还没有开始过训练。",
    queued="正在等待其他工作结束。",
    running="正在进行。可以关闭本页：它会继续。",
    stopping="正在停止；学到的都会保留。",
    done="已经结束。",
    failed="无法继续。",
    cancelled="已停止。学到的都保留着。",
    lost="被外部终止：进程被结束，或机器关机。学到的都保留着。",
    broken="它的文件无法读取。请重新开始。",
    goes_on="可以从停下的地方继续。",
    stop="停止",
    resume="继续",
    switch_job="切换",
    calibrate_job="计算可能性",
    lesson_job="训练",
    lesson_number="第 {n} 项：{what}",
    left="这一步约剩 {time}",
    of_total="已完成 {done} / {total}",
    epoch="第 {n} 轮，共 {total} 轮",
    working="正在工作",
    parts={
        "Training": "学习",
        "Embedding": "用新模型读取照片",
        "Preparing pictures": "准备照片",
        "Embedding with the start encoder": "用现有模型读取照片",
        "Embedding with the trained encoder": "用新模型读取照片",
        "Embedding with the encoder as it is now": "在未参与学习的照片上测试",
        "Waiting for another process": "等待图库的其他工作",
    },
    curve_validation="学习中的正确程度",
    curve_loss="学习中的误差",
    curve_spoken="{name}：由 {first} 到 {last}，最好 {best}",
    curve_waits="有了第一批结果就会显示曲线。",
    try_number="第 {n} 次尝试",
    whole="整个模型",
    alarm="警示",
    alarms={
        "loss = margin": "停滞不前：在它看来一切都一样。请停止，改用快速训练。",
        "loss = chance": "目前什么也没学到：与猜测无异。请检查标签，或停止。",
        "complete collapse": "在它看来所有照片都一样了。请停止；这样的结果不会被使用。",
        "dimensional collapse": "它看到的差别比以前少。请增加标签，或改用快速训练。",
        "exploding norm": "它的数值无限增长。请停止，改用快速训练。",
    },
    log="消息",
    log_empty="没有消息。",
    proof_title="之前与之后",
    proof_none="训练结束后，这里会显示比较。",
    better="新的搜索更好，而且不是偶然。",
    open="不能确定新的搜索更好。",
    worse="新的搜索更差。",
    first_right="每 100 张照片中，{after} 张第一个就找对；之前是 {before} 张。",
    first_sure="可信范围：每 100 张 {low} 至 {high} 张。变化在 {dlow} 与 {dhigh} 之间。",
    all_right="同类照片中，每 100 张有 {after} 张排在前面；之前是 {before} 张。",
    all_sure="可信范围：每 100 张 {low} 至 {high} 张。变化在 {dlow} 与 {dhigh} 之间。",
    asked=Counted("用 {n} 张留出的照片检验。", "用 {n} 张留出的照片检验。"),
    measure="{name}（每 100 张）",
    before="之前",
    after="之后",
    gains="提高最多的标签",
    losses="下降的标签",
    no_gains="没有标签提高。",
    no_losses="没有标签下降。",
    class_line="每 100 张：{before} → {after}",
    rows_better="变好的搜索",
    rows_worse="变差的搜索",
    rows_hint="加框的照片是对的。",
    query="用来搜索的照片，{label}",
    no_picture="已不在图库中",
    match_right="第 {n} 位：{label}，对",
    match_wrong="第 {n} 位：{label}，错",
    report="完整报告（英文）",
    outdated="现在使用的搜索已不是训练开始时的那个：这里是与旧的比较。",
    switch_title="启用",
    gate_yes="在没有见过的照片上证明更好。可以切换。",
    gate_no="没有得到证明，因此保留现在的搜索。",
    gate_first="第一位：每 100 张变化 {mean} 张可能是偶然；范围在 {low} 与 {high} 之间。",
    gate_all="全部同类：每 100 张变化 {mean} 张可能是偶然；范围在 {low} 与 {high} 之间。",
    gate_perfect="之前就已全部正确：没有什么可证明的了。",
    gate_leaks=Counted("{n} 张几乎相同的照片既在训练中又在检验中。", "{n} 组几乎相同的照片既在训练中又在检验中。"),
    gate_other="训练文件中没有完整的证明。",
    gate_hint="更多有标签的照片最有帮助：既用于训练，也让检验更可靠。",
    switch_ask="切换到它……",
    force_ask="仍然使用它……",
    looking="正在估算时间和磁盘空间……",
    switch_cost="用新模型读取 {n} 张照片一遍：约 {time}。",
    switch_cost_none="所有照片都已用新模型读过：几秒钟即可。",
    switch_disk="约占磁盘 {size}；可用 {free}。",
    switch_cover="图库有 {n} 张照片。",
    switch_away=Counted("{n} 张照片现在无法访问。", "{n} 张照片现在无法访问。"),
    switch_meanwhile="期间现在的搜索照常回答，并会保留：可以退回。",
    switch_now="现在切换",
    force_warning="搜索可能变差：没有证明这个模型更好。现在无法读取的照片会缺失。",
    force_now="不经证明就切换",
    not_now="暂不",
    switching="正在切换。在此之前由现在的搜索回答。",
    is_live="新的搜索已在使用。",
    back_ask="退回……",
    back_means="立即重新使用上次切换之前的搜索。新的会保留，可以再次使用。",
    back_now="现在退回",
    went_back="已重新使用之前的搜索。",
    models_title="模型",
    models_lead="读取本图库照片的模型，以及保留下来的模型。",
    live="使用中",
    kept="保留",
    untrained="未经训练",
    made="制作时间",
    from_what="来源",
    numbers="每张照片的数值个数",
    covers="照片",
    size="磁盘占用",
    chances="可能性",
    chances_yes="会显示",
    chances_no="尚未计算",
    figures="检验",
    figures_line="每 100 张中第一位对 {after} 张，之前 {before} 张",
    forced="未经证明就切换",
    use_again="使用这个……",
    drop_ask="删除……",
    drop_means="用它读取的内容将被删除：{size}。照片和标签会保留。要再次使用，需全部重新读取。",
    drop_now="删除",
    calibrate="计算可能性",
    calibrate_means="根据您的标签：某个分数的两张照片有多大可能是同一事物。",
    dropped="已删除。",
)
