"""Errors by their kind. English has none of its own: what was raised is said as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Told:
    """An error in another language.

    Attributes:
        text: what is wrong; may name the values that the error carries.
        hint: what to do next; may be empty.
    """

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """What is said of errors.

    Attributes:
        bad_file: title over a file that cannot be searched with.
        failed: title over any other error that a user can do something about.
        unexpected, unexpected_text, unexpected_hint: of one that nobody foresaw.
        ask_owner: what to do where no page helps.
        hints: what to do on the pages, by the command that a hint for the terminal names.
        kinds: by ``RetrievalError.kind``; where a kind is missing the English sentence is shown.
    """

    bad_file: str
    failed: str
    unexpected: str
    unexpected_text: str
    unexpected_hint: str
    ask_owner: str
    hints: Mapping[str, str]
    kinds: Mapping[str, Told] = field(default_factory=dict)


_LESSONS = ("train", "pretrain", "finetune", "distil", "evaluate", "recipes")
_FOLDERS = ("roots", "prune")
_MODELS = ("switch", "spaces", "rollback")
_CARE = ("status", "restore", "backup")


ENGLISH = ErrorWords(
    bad_file="This file cannot be searched with",
    failed="That did not work",
    unexpected="Something went wrong in the program",
    unexpected_text="The terminal that it runs in says more.",
    unexpected_hint="Try once more.",
    ask_owner="Ask whoever runs this program.",
    hints={
        "index": "Add the folder on the page “Library”, or press “Look for changes” beside it there.",
        **dict.fromkeys(_FOLDERS, "The page “Library” lists the folders, and can remove one."),
        **dict.fromkeys(_CARE, "Press “Check the gallery” on the page “Library”, then “Mend what can be mended”."),
        **dict.fromkeys(_LESSONS, "The page “Teach” shows what can be learned, and from what."),
        **dict.fromkeys(_MODELS, "The page “Teach” lists the models, and switches between them."),
        "labels": "Give pictures labels, or “Undo” what was given, on the page “Labels”.",
        "model": "Choose another model on the page “Library”, or bring the whole folder of this one once more.",
        "jobs": "What is at work, and what ended last, is shown above every page.",
    },
)

CHINESE = ErrorWords(
    bad_file="无法用这个文件搜索",
    failed="没有成功",
    unexpected="程序出错了",
    unexpected_text="运行它的终端中有更多说明。",
    unexpected_hint="请再试一次。",
    ask_owner="请联系运行本程序的人。",
    hints={
        "index": "请在“图库”页面添加这个文件夹，或在那里点击它旁边的“查找变化”。",
        **dict.fromkeys(_FOLDERS, "“图库”页面列出全部文件夹，也可以在那里移除。"),
        **dict.fromkeys(_CARE, "请在“图库”页面点击“检查图库”，然后点击“修复可以修复的部分”。"),
        **dict.fromkeys(_LESSONS, "“训练”页面会显示可以学习什么、用什么学习。"),
        **dict.fromkeys(_MODELS, "“训练”页面列出各个模型，并可在它们之间切换。"),
        "labels": "请在“标签”页面为图片添加标签，或用“撤销”收回。",
        "model": "请在“图库”页面选择另一个模型，或重新取得这个模型的完整文件夹。",
        "jobs": "正在进行和最近结束的任务显示在每个页面的上方。",
    },
    kinds={
        "no_such_path": Told("所指的文件、文件夹或图片不存在，或目前无法读取。", "请检查路径，或接上磁盘。"),
        "image.empty": Told("文件是空的。", "请从原处重新复制，或删除它。"),
        "image.not_an_image": Told(
            "内容不是任何已知格式的图片。", "可读取 JPEG、PNG、WebP、GIF、BMP、TIFF、AVIF 和 HEIC，与文件后缀无关。"
        ),
        "image.truncated": Told("文件不完整，过早结束。", "请从原处重新复制。"),
        "image.corrupt": Told("文件已损坏。", "请用其他程序打开并另存一份。"),
        "image.too_many_pixels": Told("图片太大，无法解码。", "请缩小图片，或调高 RETRIEVAL_MAX_MEGAPIXELS。"),
        "image.too_large": Told("文件太大。", "请使用较小的副本，或调高 RETRIEVAL_MAX_FILE_MB。"),
        "image.unsupported": Told("不支持这种图片格式。", "请另存为 8 位的 JPEG 或 PNG。"),
        "image.unreadable": Told("无法读取文件。", "请确认文件还在、您有权读取，且磁盘已连接。"),
        "image.timeout": Told(
            "读取和解码用时过长。", "如果文件没有问题而只是磁盘较慢，请调高 RETRIEVAL_DECODE_SECONDS。"
        ),
        "image.crashed": Told("解码器在处理这个文件时崩溃了。", "文件可能已损坏：请用其他程序打开并另存一份。"),
        "image.changed": Told("文件在读取时发生了变化：可能仍在写入。", "请稍后再试。"),
        "empty_gallery": Told("还没有任何索引。", "请先在“图库”页面添加照片文件夹。"),
        "gallery_too_new": Told("这个图库由更新版本的程序写成。", "请升级本程序。"),
        "model_damaged": Told("模型文件夹不完整，或校验和不符。", "请重新获取这个模型。"),
        "model_unsafe": Told("权重以 pickle 形式保存，载入它可能会运行他人的代码。", "请使用 safetensors 文件。"),
        "model_unavailable": Told("没有这个模型，或在这里无法取得它的权重。", "请检查名称，或使用本地的模型文件夹。"),
        "model_mismatch": Told("这不是图库正在使用的编码器。", "请使用图库自己的编码器，或切换到新的编码器。"),
        "disk_full": Told("磁盘空间不足。", "请腾出一些空间后重试：会从停下的地方继续。"),
        "gallery_busy": Told("另一个进程正在写入这个图库。", "请等它完成，或停止它；搜索可以照常进行。"),
        "gallery_damaged": Told(
            "图库中有文件损坏。", "请在“图库”页面点击“检查图库”，然后点击“修复可以修复的部分”；或从备份恢复。"
        ),
        "bad_value": Told("有一个设置或选项的值无法使用。"),
        "too_few_labels": Told("有标签的图片太少，无法比较。", "请在“标签”页面为更多图片添加标签。"),
        "training_failed": Told("训练无法继续。", "请降低学习率，或换一个配方。"),
        "not_proven": Told("未通过检验：没有证明新模型更好，或它不完整。", "请加入更多标签后再训练。"),
        "read_only": Told("这里只能查看，不能更改。", "请联系这个图库的主人。"),
        "no_grid": Told("这个编码器不保留特征在图片中的位置，无法说明是哪些部分相似。", "搜索可以照常使用。"),
        "interrupted": Told("已停止；完成的部分都保留着。", "可以从停下的地方继续。"),
    },
)
