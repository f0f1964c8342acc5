"""The library page: folders, what became of their files, and looking after the gallery."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class LibraryWords:
    """Texts of the library page.

    Attributes:
        reasons: why a file could not be read, by its reason.
        parts: what takes disk space, by its name.
        account: what became of files, by the field of the report; in the order in which they are shown.
    """

    add_title: str
    first_title: str
    first_text: str
    path: str
    path_info: str
    path_example: str
    folders_here: str
    more_folders: str
    model: str
    model_info: str
    model_own: str
    model_stronger: str
    model_folder: str
    model_path: str
    model_path_info: str
    model_path_example: str
    model_missing: str
    model_missing_hint: str
    look: str
    looking: str
    add: str
    look_new: Counted
    look_none: str
    look_known: Counted
    look_other: Counted
    look_time: str
    look_disk: str
    look_part: str
    look_full: str
    folders: str
    pictures: Counted
    gone: Counted
    failed: Counted
    online: str
    offline: str
    single: str
    scanned: str
    never_scanned: str
    scan: str
    remove: str
    remove_title: str
    remove_text: Counted
    remove_yes: str
    keep: str
    removed: Counted
    prune: str
    prune_title: Counted
    prune_text: str
    prune_yes: str
    and_more: Counted
    pruned: Counted
    working: str
    waiting: str
    waiting_writer: str
    stopping: str
    stop: str
    stopped: str
    stopped_text: str
    lost: str
    started: str
    of_files: str
    failed_so_far: Counted
    time_left: str
    done: str
    to_search: str
    findable: Counted
    nothing_new: str
    account_title: str
    account_when: str
    failures_title: str
    all_reasons: str
    retry: str
    page_of: str
    previous: str
    following: str
    watch: str
    watch_text: str
    every: Mapping[int, str]
    twins: str
    twins_text: str
    twins_find: str
    twins_none: str
    twins_found: Counted
    twins_free: str
    twins_export: str
    twin_picture: str
    care: str
    disk: str
    parts: Mapping[str, str]
    backup: str
    backup_to: str
    backup_info: str
    backup_made: str
    backup_get: str
    check: str
    check_well: str
    check_found: Counted
    repair: str
    empty_action: str
    empty_stay: str
    reasons: Mapping[str, str] = field(default_factory=dict)
    account: Mapping[str, str] = field(default_factory=dict)


ENGLISH = LibraryWords(
    add_title="Add a folder of photos",
    first_title="Add a folder of photos",
    first_text=(
        "Name a folder on the computer that this program runs on. Its pictures are read once, so that you can find "
        "them by what they show. They stay where they are; nothing is copied, changed or sent away."
    ),
    path="Folder",
    path_info="The full path, as it is on the computer that runs this program.",
    path_example="/home/anna/Photos",
    folders_here="Folders to choose from",
    more_folders="There are more: go on typing.",
    model="Model",
    model_info="How pictures are compared. Another one can be taken later; the pictures are then read once more.",
    model_own="The small one that comes with the program",
    model_stronger="A stronger and slower one, which is downloaded once ({size})",
    model_folder="One that I have, in a folder on this computer",
    model_path="Folder of the model",
    model_path_info="The full path, as it is on the computer that runs this program.",
    model_path_example="/home/anna/Models/mine",
    model_missing="There is no folder of a model at this path.",
    model_missing_hint="Write its full path, or choose another model.",
    look="Look at this folder",
    looking="Looking …",
    add="Add and read it",
    look_new=Counted("{n} picture to read", "{n} pictures to read"),
    look_none="Nothing in this folder needs to be read.",
    look_known=Counted("{n} is known already", "{n} are known already"),
    look_other=Counted("{n} other file is left out", "{n} other files are left out"),
    look_time="Takes about {time}.",
    look_disk="Needs {size} of disk; {free} are free.",
    look_part="The folder is large: these are the files seen so far, and there are more.",
    look_full="There may not be enough room on the disk.",
    folders="Folders",
    pictures=Counted("{n} picture", "{n} pictures"),
    gone=Counted("{n} is gone", "{n} are gone"),
    failed=Counted("{n} could not be read", "{n} could not be read"),
    online="Connected",
    offline="Not connected: its pictures stay in the gallery",
    single="Single files only",
    scanned="Last looked at: {when}",
    never_scanned="Not looked at as a whole yet",
    scan="Look for changes",
    remove="Remove …",
    remove_title="Remove this folder from the gallery?",
    remove_text=Counted(
        "The gallery forgets {n} file of it, with the labels that only this file carries. "
        "No picture is deleted from your disk.",
        "The gallery forgets {n} files of it, with the labels that only these files carry. "
        "No picture is deleted from your disk.",
    ),
    remove_yes="Remove it",
    keep="Keep it",
    removed=Counted(
        "{n} file was forgotten. It is still on your disk.", "{n} files were forgotten. They are still on your disk."
    ),
    prune="Forget files that are gone …",
    prune_title=Counted("Forget {n} file that is gone?", "Forget {n} files that are gone?"),
    prune_text="They are no longer in folders that are connected. Their labels are forgotten with them.",
    prune_yes="Forget them",
    and_more=Counted("and {n} more", "and {n} more"),
    pruned=Counted("{n} file was forgotten.", "{n} files were forgotten."),
    working="At work",
    waiting="Waits until the work before it is done",
    waiting_writer="Waits until another program has finished writing",
    stopping="Stopping …",
    stop="Stop",
    stopped="Stopped",
    stopped_text="What was done is kept. Do it again to go on from there.",
    lost="The work ended without a word: the program was closed or the computer went down. Do it again to go on.",
    started="It has begun.",
    of_files="{done} of {total}",
    failed_so_far=Counted("{n} could not be read", "{n} could not be read"),
    time_left="about {time} left",
    done="Done",
    to_search="Search your pictures",
    findable=Counted("{n} picture can be found now.", "{n} pictures can be found now."),
    nothing_new="Nothing has changed since the last time.",
    account_title="Every file of the last time",
    account_when="Looked through on {when}",
    failures_title="Files that could not be read",
    all_reasons="All",
    retry="Try them again",
    page_of="{first} to {last} of {all}",
    previous="Previous",
    following="Next",
    watch="Watch these folders",
    watch_text="While the program runs, new and changed pictures are read by themselves.",
    every={5: "Look every 5 minutes", 15: "Look every 15 minutes", 60: "Look every hour", 360: "Look every 6 hours"},
    twins="Pictures that are there twice",
    twins_text="Copies, and pictures that were saved again or made smaller. Nothing is deleted here.",
    twins_find="Look for them",
    twins_none="No picture is there twice.",
    twins_found=Counted("{n} group", "{n} groups"),
    twins_free="All but the best of each group take {size}.",
    twins_export="Save the list as a table (CSV)",
    twin_picture="Picture of a group",
    care="Looking after the gallery",
    disk="Room on the disk",
    parts={
        "catalog": "What is known of the pictures",
        "vectors": "What the pictures show, in numbers",
        "index": "The index for searching",
        "maps": "Maps of the pictures",
        "models": "Models",
        "runs": "Lessons",
        "history": "Photos that were searched with",
        "jobs": "Records of the work",
        "others": "Locks and settings",
        "total": "in all",
    },
    backup="Make a backup",
    backup_to="Save the backup as",
    backup_info="A new file on the computer that runs this program. Your pictures themselves are not in it, nor "
    "lessons that are not in use and past searches.",
    backup_made="A backup of {size} was made: {path}",
    backup_get="Download it",
    check="Check the gallery",
    check_well="Everything was read and is well.",
    check_found=Counted("{n} problem was found.", "{n} problems were found."),
    repair="Mend what can be mended",
    empty_action="Add a folder of photos",
    empty_stay="Its pictures are read once and stay where they are.",
    reasons={
        "empty": "The file is empty",
        "not_an_image": "Not a picture",
        "truncated": "The end is missing",
        "corrupt": "Damaged",
        "too_many_pixels": "Too many pixels",
        "too_large": "The file is too large",
        "unsupported": "A kind of picture that cannot be read",
        "unreadable": "May not be read",
        "timeout": "Took too long",
        "crashed": "The reading program crashed",
        "changed": "Changed while it was read",
    },
    account={
        "found": "picture files in all",
        "new": "new",
        "changed": "changed",
        "moved": "moved or renamed",
        "copied": "copies of known pictures",
        "unchanged": "as they were",
        "failed": "could not be read",
        "skipped": "other files, which are no pictures",
        "missing": "no longer there",
        "offline": "in folders that are not connected",
    },
)

CHINESE = LibraryWords(
    add_title="添加照片文件夹",
    first_title="添加照片文件夹",
    first_text="请填写运行本程序的电脑上的一个文件夹。其中的图片会读取一次，之后就能按内容找到它们。图片保持原位：不会复制、更改或发送出去。",
    path="文件夹",
    path_info="运行本程序的电脑上的完整路径。",
    path_example="/home/anna/照片",
    folders_here="可选择的文件夹",
    more_folders="还有更多：请继续输入。",
    model="模型",
    model_info="用来比较图片的方法。以后可以换用另一个，届时会重新读取图片。",
    model_own="程序自带的小模型",
    model_stronger="更强但较慢的模型，只需下载一次（{size}）",
    model_folder="这台电脑上的一个模型文件夹",
    model_path="模型文件夹",
    model_path_info="运行本程序的电脑上的完整路径。",
    model_path_example="/home/anna/模型/我的",
    model_missing="这个路径上没有模型文件夹。",
    model_missing_hint="请填写完整路径，或选择另一个模型。",
    look="查看这个文件夹",
    looking="正在查看……",
    add="添加并读取",
    look_new=Counted("需要读取 {n} 张图片", "需要读取 {n} 张图片"),
    look_none="这个文件夹中没有需要读取的内容。",
    look_known=Counted("{n} 张已在图库中", "{n} 张已在图库中"),
    look_other=Counted("{n} 个其他文件不计入", "{n} 个其他文件不计入"),
    look_time="大约需要 {time}。",
    look_disk="需要 {size} 磁盘空间；尚有 {free} 可用。",
    look_part="文件夹很大：以上只是目前看到的文件，实际更多。",
    look_full="磁盘空间可能不够。",
    folders="文件夹",
    pictures=Counted("{n} 张图片", "{n} 张图片"),
    gone=Counted("{n} 张已不在", "{n} 张已不在"),
    failed=Counted("{n} 个无法读取", "{n} 个无法读取"),
    online="已连接",
    offline="未连接：其中的图片仍保留在图库中",
    single="仅个别文件",
    scanned="上次查看：{when}",
    never_scanned="尚未整体查看过",
    scan="查找变化",
    remove="移除……",
    remove_title="要从图库中移除这个文件夹吗？",
    remove_text=Counted(
        "图库会忘记其中的 {n} 个文件，以及只属于它的标签。磁盘上的图片一张也不会删除。",
        "图库会忘记其中的 {n} 个文件，以及只属于它们的标签。磁盘上的图片一张也不会删除。",
    ),
    remove_yes="移除",
    keep="保留",
    removed=Counted("已忘记 {n} 个文件。它仍在您的磁盘上。", "已忘记 {n} 个文件。它们仍在您的磁盘上。"),
    prune="忘记已不在的文件……",
    prune_title=Counted("要忘记 {n} 个已不在的文件吗？", "要忘记 {n} 个已不在的文件吗？"),
    prune_text="在已连接的文件夹中已找不到它们。它们的标签也会一并忘记。",
    prune_yes="忘记",
    and_more=Counted("还有 {n} 个", "还有 {n} 个"),
    pruned=Counted("已忘记 {n} 个文件。", "已忘记 {n} 个文件。"),
    working="进行中",
    waiting="等待前面的工作完成",
    waiting_writer="等待另一个程序写完",
    stopping="正在停止……",
    stop="停止",
    stopped="已停止",
    stopped_text="完成的部分都已保留。再做一次会从那里继续。",
    lost="工作没有留下说明就结束了：程序被关闭，或电脑停机。再做一次会继续。",
    started="已经开始。",
    of_files="{done}／共 {total}",
    failed_so_far=Counted("{n} 个无法读取", "{n} 个无法读取"),
    time_left="大约还需 {time}",
    done="完成",
    to_search="搜索您的图片",
    findable=Counted("现在可以找到 {n} 张图片。", "现在可以找到 {n} 张图片。"),
    nothing_new="与上次相比没有变化。",
    account_title="上次查看的每个文件",
    account_when="查看时间：{when}",
    failures_title="无法读取的文件",
    all_reasons="全部",
    retry="再试一次",
    page_of="第 {first} 至 {last} 个，共 {all} 个",
    previous="上一页",
    following="下一页",
    watch="留意这些文件夹",
    watch_text="程序运行时，会自动读取新的和有变化的图片。",
    every={5: "每 5 分钟查看一次", 15: "每 15 分钟查看一次", 60: "每小时查看一次", 360: "每 6 小时查看一次"},
    twins="重复的图片",
    twins_text="副本，以及另存或缩小过的图片。这里不会删除任何东西。",
    twins_find="查找",
    twins_none="没有重复的图片。",
    twins_found=Counted("{n} 组", "{n} 组"),
    twins_free="每组除最好的一张外，共占 {size}。",
    twins_export="把列表保存为表格（CSV）",
    twin_picture="一组中的图片",
    care="维护图库",
    disk="磁盘占用",
    parts={
        "catalog": "关于图片的记录",
        "vectors": "图片内容的数字表示",
        "index": "搜索索引",
        "maps": "图片地图",
        "models": "模型",
        "runs": "训练结果",
        "history": "搜索用过的照片",
        "jobs": "工作记录",
        "others": "锁和设置",
        "total": "合计",
    },
    backup="备份",
    backup_to="备份保存为",
    backup_info="运行本程序的电脑上的一个新文件。其中不包含图片本身、未启用的训练结果和搜索记录。",
    backup_made="已完成备份，大小 {size}：{path}",
    backup_get="下载",
    check="检查图库",
    check_well="已全部读取，一切正常。",
    check_found=Counted("发现 {n} 个问题。", "发现 {n} 个问题。"),
    repair="修复可以修复的部分",
    empty_action="添加照片文件夹",
    empty_stay="其中的图片会读取一次，并保持原位。",
    reasons={
        "empty": "文件是空的",
        "not_an_image": "不是图片",
        "truncated": "缺少结尾",
        "corrupt": "已损坏",
        "too_many_pixels": "像素太多",
        "too_large": "文件太大",
        "unsupported": "无法读取的图片类型",
        "unreadable": "没有读取权限",
        "timeout": "用时过长",
        "crashed": "读取程序崩溃了",
        "changed": "读取时发生了变化",
    },
    account={
        "found": "全部图片文件",
        "new": "新的",
        "changed": "有变化的",
        "moved": "移动或改名的",
        "copied": "已知图片的副本",
        "unchanged": "没有变化的",
        "failed": "无法读取的",
        "skipped": "不是图片的其他文件",
        "missing": "已不在的",
        "offline": "在未连接的文件夹中的",
    },
)
