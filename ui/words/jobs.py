"""Long work: what each kind of it is called, what it is at, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from ui.words.counted import Counted
from ui.words.errors import Told


@dataclass(frozen=True, slots=True)
class JobWords:
    """Texts of the strip that shows long work.

    Attributes:
        strip: name of the region.
        kinds: what each kind of job is called, by its key in ``KINDS``.
        other: what one is called whose kind is not known.
        parts: by how the English name of a part begins; the longest that fits counts.
        other_part: of a part that is not known.
        starting: it has not said anything yet.
        epoch, counted, left: how far it is.
        waiting: so many others are queued.
        waits: it is queued itself.
        done, failed, cancelled, lost, broken: how it ended, after its name.
        said_running, said_over: read out when one begins and ends, from ``{name}`` and ``{how}``.
        kept: under one that was stopped.
        lost_text, lost_hint: under one whose process died.
        unexpected_text, unexpected_hint: under one that met an error that nobody foresaw.
        broken_text, broken_hint: under one whose folder cannot be read.
        show: leads to the page that it was asked for on, where the job is shown above the content.
        runs: it does.
        number, created, ended: of one that is shown, from ``{n}`` and ``{when}``.
        result, whole_result: over the figures of what came of it, and over all of it.
        gone, gone_text: of a number that is no job's.
        stop, stopping, close: buttons.
    """

    strip: str
    kinds: Mapping[str, str]
    other: str
    parts: Mapping[str, str]
    other_part: str
    starting: str
    epoch: str
    counted: str
    left: str
    waiting: Counted
    waits: str
    done: str
    failed: str
    cancelled: str
    lost: str
    broken: str
    said_running: str
    said_over: str
    kept: str
    lost_text: str
    lost_hint: str
    unexpected_text: str
    unexpected_hint: str
    broken_text: str
    broken_hint: str
    show: str
    runs: str
    number: str
    created: str
    ended: str
    result: str
    whole_result: str
    gone: str
    gone_text: str
    stop: str
    stopping: str
    close: str

    def name(self, kind: str) -> str:
        """What a kind of job is called."""
        return self.kinds.get(kind, self.other)

    def part(self, english: str) -> str:
        """What a part of progress is called."""
        fits = [beginning for beginning in self.parts if english.startswith(beginning)]
        return self.parts[max(fits, key=len)] if fits else self.other_part

    def own_errors(self) -> Mapping[str, Told]:
        """What is said of the ends that no error of the program stands for, by ``Failure.kind``."""
        return {
            "lost": Told(self.lost_text, self.lost_hint),
            "unexpected": Told(self.unexpected_text, self.unexpected_hint),
        }


ENGLISH = JobWords(
    strip="Work in the background",
    kinds={
        "index": "Adding pictures",
        "retry": "Trying once more what could not be read",
        "train": "Teaching with your labels",
        "pretrain": "Learning from pictures without labels",
        "finetune": "Going on learning, with labels",
        "distil": "Teaching a smaller model",
        "switch": "Switching to another model",
        "diagnose": "Examining the model",
        "temperature": "Comparing how strictly to teach",
        "probe": "Testing what the model can tell apart",
        "auto-labels": "Suggesting labels",
        "calibrate": "Measuring how sure a match is",
        "duplicates": "Looking for pictures that are there twice",
        "label-check": "Looking for labels that may be wrong",
        "map": "Drawing the map",
        "backup": "Making a backup",
        "check": "Checking the gallery",
    },
    other="A job",
    parts={
        "Indexing": "Reading pictures",
        "Embedding": "Looking at pictures",
        "Classifying": "Looking at pictures",
        "Preparing pictures": "Preparing pictures",
        "The teacher looks": "The teacher looks at the pictures",
        "Training": "Learning",
        "The linear probe": "Measuring",
        "Temperature": "Teaching and measuring",
        "Measuring": "Measuring",
        "Changed pictures": "Trying changed pictures",
        "Comparing": "Comparing pictures",
        "Confirming": "Looking twice at those that are alike",
        "Drawing the page": "Drawing the report",
        "Drawing the map": "Placing pictures beside those they look like",
        "Reading vectors": "Reading what is known of the pictures",
        "Waiting for another process": "Waiting until another program has finished with the gallery",
    },
    other_part="Working",
    starting="Starting",
    epoch="round {epoch} of {epochs}",
    counted="{done} of {total}",
    left="about {time} left",
    waiting=Counted("{n} more is waiting", "{n} more are waiting"),
    waits="waiting for its turn",
    done="done",
    failed="did not work",
    cancelled="stopped",
    lost="ended too early",
    broken="cannot be read",
    said_running="{name}: begun",
    said_over="{name}: {how}",
    kept="What was finished before is kept.",
    lost_text="It was ended from outside, or the computer went down.",
    lost_hint="What was finished before is kept; start it once more.",
    unexpected_text="Something went wrong in the program.",
    unexpected_hint="Start it once more; the job's own output says more.",
    broken_text="What was noted about it is damaged.",
    broken_hint="Nothing else depends on it; start it once more.",
    show="Show",
    runs="at work",
    number="Job {n}",
    created="asked for on {when}",
    ended="ended on {when}",
    result="What came of it",
    whole_result="All of the result, as the program gives it (in English)",
    gone="There is no such job any more",
    gone_text="The last hundred are kept.",
    stop="Stop",
    stopping="Stopping …",
    close="Close",
)

CHINESE = JobWords(
    strip="后台任务",
    kinds={
        "index": "添加图片",
        "retry": "重新尝试未能读取的文件",
        "train": "用您的标签训练",
        "pretrain": "从无标签的图片中学习",
        "finetune": "用标签继续学习",
        "distil": "教出一个更小的模型",
        "switch": "切换到另一个模型",
        "diagnose": "检查模型",
        "temperature": "比较训练的严格程度",
        "probe": "测试模型能分辨什么",
        "auto-labels": "建议标签",
        "calibrate": "测量匹配的把握",
        "duplicates": "查找重复的图片",
        "label-check": "查找可能有误的标签",
        "map": "绘制地图",
        "backup": "备份",
        "check": "检查图库",
    },
    other="任务",
    parts={
        "Indexing": "读取图片",
        "Embedding": "查看图片",
        "Classifying": "查看图片",
        "Preparing pictures": "准备图片",
        "The teacher looks": "教师模型查看图片",
        "Training": "学习",
        "The linear probe": "测量",
        "Temperature": "训练并测量",
        "Measuring": "测量",
        "Changed pictures": "尝试变化后的图片",
        "Comparing": "比较图片",
        "Confirming": "复查相似的图片",
        "Drawing the page": "绘制报告",
        "Drawing the map": "把相似的图片放在一起",
        "Reading vectors": "读取图片的已知信息",
        "Waiting for another process": "等待另一个程序使用完图库",
    },
    other_part="进行中",
    starting="正在启动",
    epoch="第 {epoch} 轮，共 {epochs} 轮",
    counted="第 {done} 个，共 {total} 个",
    left="大约还需 {time}",
    waiting=Counted("另有 {n} 个在等待", "另有 {n} 个在等待"),
    waits="正在排队",
    done="已完成",
    failed="没有成功",
    cancelled="已停止",
    lost="提前终止",
    broken="无法读取",
    said_running="任务“{name}”已开始",
    said_over="任务“{name}”{how}",
    kept="此前完成的部分都保留着。",
    lost_text="它被外部终止，或者计算机关机了。",
    lost_hint="此前完成的部分都保留着；请重新开始。",
    unexpected_text="程序出错了。",
    unexpected_hint="请重新开始；任务自己的输出中有更多说明。",
    broken_text="关于它的记录已损坏。",
    broken_hint="没有其他内容依赖它；请重新开始。",
    show="查看",
    runs="正在进行",
    number="任务 {n}",
    created="提交于 {when}",
    ended="结束于 {when}",
    result="结果",
    whole_result="程序给出的完整结果（英文）",
    gone="没有这个任务了",
    gone_text="只保留最近一百个任务。",
    stop="停止",
    stopping="正在停止……",
    close="关闭",
)
