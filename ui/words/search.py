"""The search page."""

from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class SearchWords:
    """Texts of the query, its options, the results and the large view."""

    photo: str
    drop_photo: str
    no_preview: str
    options: str
    how_many: str
    only_labels: str
    without_labels: str
    in_folder: str
    folder_example: str
    min_score: str
    min_score_info: str
    again: str
    start_title: str
    start_text: str
    samples: str
    sample_search: str
    sample_picture: str
    from_gallery: str
    empty_title: str
    empty_how: str
    empty_while: str
    check_again: str
    searching: str
    like_yours: Counted
    like_this: Counted
    out_of: Counted
    query_picture: str
    decode: str
    encode: str
    index: str
    catalog: str
    no_file: str
    spoken: str
    spoken_chance: str
    no_label: str
    picture: str
    offline: str
    same_label: str
    chance: str
    score: str
    cosine: str
    same_label_fact: str
    likely: str
    rank: str
    labels: str
    none: str
    size: str
    pixels: str
    file: str
    taken: str
    taken_unknown: str
    image_id: str
    place: str
    places: str
    offline_note: str
    no_match: str
    no_match_filters: str
    no_match_filters_hint: str
    no_match_score: Counted
    no_match_score_hint: str
    no_match_score_or_filters_hint: str
    no_match_alone: str
    no_match_alone_hint: str
    choose_title: str
    choose_text: str
    not_an_id: str
    relative_folder: str
    relative_folder_hint: str
    upload_too_large: str
    upload_too_large_hint: str
    viewer: str
    viewer_facts: str
    viewer_missing: str
    viewer_previous: str
    viewer_next: str
    viewer_close: str
    viewer_similar: str
    viewer_count: str


ENGLISH = SearchWords(
    photo="Your photo",
    drop_photo="Drop a photo here\nor click to choose one",
    no_preview="This browser cannot show the file.",
    options="Options",
    how_many="How many",
    only_labels="Only with one of these labels",
    without_labels="Without these labels",
    in_folder="In this folder",
    folder_example="/photos/2024",
    min_score="Minimum score",
    min_score_info="Cosine similarity; 0 keeps all.",
    again="Search again",
    start_title="Start with a photo",
    start_text="Drop one, paste it, or take one with the camera. Or begin with a picture of the gallery:",
    samples="Samples of the gallery",
    sample_search="Search with sample {n}",
    sample_picture="Sample {n} of the gallery",
    from_gallery="From the gallery",
    empty_title="Nothing is indexed yet",
    empty_how="Whoever runs this program can add a folder of pictures.",
    empty_while="This page may stay open meanwhile; the originals stay where they are.",
    check_again="Check again",
    searching="Searching …",
    like_yours=Counted("{n} picture most like yours", "{n} pictures most like yours"),
    like_this=Counted("{n} picture most like this one", "{n} pictures most like this one"),
    out_of=Counted("out of {n} image", "out of {n} images"),
    query_picture="The picture searched with",
    decode="decode",
    encode="encode",
    index="index",
    catalog="catalog",
    no_file="(no file)",
    spoken="Rank {rank}, score {score}. {labels}. {name}",
    spoken_chance="Rank {rank}, score {score}, {chance} likely the same label. {labels}. {name}",
    no_label="No label",
    picture="Picture",
    offline="drive offline",
    same_label="{chance} same label",
    chance="How likely this picture carries the label of the one searched with, going by its score",
    score="Score",
    cosine="cosine",
    same_label_fact="Same label",
    likely="likely",
    rank="Rank",
    labels="Labels",
    none="none",
    size="Size",
    pixels="{width} × {height} pixels",
    file="File",
    taken="Taken",
    taken_unknown="unknown",
    image_id="Image id",
    place="Place",
    places="Places",
    offline_note="drive offline: the original cannot be reached now",
    no_match="No match",
    no_match_filters="No image passes the filters: labels, folder, dates and sizes all have to fit.",
    no_match_filters_hint="Take a label away, or clear the folder, the dates or the sizes.",
    no_match_score=Counted(
        "None of {n} image reaches a score of {{score}}.", "None of {n} images reaches a score of {{score}}."
    ),
    no_match_score_hint="Lower the minimum score.",
    no_match_score_or_filters_hint="Lower the minimum score, or widen the other filters.",
    no_match_alone="There is no other image to compare with.",
    no_match_alone_hint="Add more pictures on the page “Library”.",
    choose_title="Choose a photo first",
    choose_text="Drop one on the left, or pick a sample.",
    not_an_id="This is not the number of an image.",
    relative_folder="The folder {folder} is not a full path.",
    relative_folder_hint="Write it from the root of the drive.",
    upload_too_large="The file is larger than {limit} MB.",
    upload_too_large_hint="Send a smaller copy. Whoever runs this program can allow more: RETRIEVAL_MAX_UPLOAD_MB.",
    viewer="Picture and its facts",
    viewer_facts="Facts about the picture",
    viewer_missing="The original cannot be reached now: drive offline, or the file has changed.",
    viewer_previous="Previous picture",
    viewer_next="Next picture",
    viewer_close="Close",
    viewer_similar="Find similar to this",
    viewer_count="{place} of {all}",
)

CHINESE = SearchWords(
    photo="您的照片",
    drop_photo="把照片拖到这里\n或点击选择一张",
    no_preview="此浏览器无法显示这个文件。",
    options="选项",
    how_many="数量",
    only_labels="只要带有其中某个标签的",
    without_labels="不要带有这些标签的",
    in_folder="在此文件夹中",
    folder_example="/照片/2024",
    min_score="最低得分",
    min_score_info="余弦相似度；0 表示全部保留。",
    again="重新搜索",
    start_title="从一张照片开始",
    start_text="拖入、粘贴，或用相机拍一张。也可以从图库中的一张图片开始：",
    samples="图库中的样例",
    sample_search="用样例 {n} 搜索",
    sample_picture="图库样例 {n}",
    from_gallery="来自图库",
    empty_title="还没有任何索引",
    empty_how="运行本程序的人可以添加图片文件夹。",
    empty_while="其间可以一直打开本页；原图保持原位不动。",
    check_again="再次检查",
    searching="正在搜索……",
    like_yours=Counted("与您的照片最相似的 {n} 张图片", "与您的照片最相似的 {n} 张图片"),
    like_this=Counted("与这张最相似的 {n} 张图片", "与这张最相似的 {n} 张图片"),
    out_of=Counted("共 {n} 张图片", "共 {n} 张图片"),
    query_picture="用来搜索的图片",
    decode="解码",
    encode="编码",
    index="索引",
    catalog="目录",
    no_file="（没有文件）",
    spoken="第 {rank} 名，得分 {score}。{labels}。{name}",
    spoken_chance="第 {rank} 名，得分 {score}，标签相同的可能性 {chance}。{labels}。{name}",
    no_label="没有标签",
    picture="图片",
    offline="磁盘离线",
    same_label="{chance} 标签相同",
    chance="根据得分估计，这张图片与所搜图片标签相同的可能性",
    score="得分",
    cosine="余弦",
    same_label_fact="标签相同",
    likely="的可能性",
    rank="名次",
    labels="标签",
    none="无",
    size="尺寸",
    pixels="{width} × {height} 像素",
    file="文件",
    taken="拍摄时间",
    taken_unknown="未知",
    image_id="图片编号",
    place="位置",
    places="位置",
    offline_note="磁盘离线：目前无法读取原图",
    no_match="没有匹配",
    no_match_filters="没有图片通过筛选：没有符合标签、文件夹、日期和大小的图片。",
    no_match_filters_hint="去掉一个标签，清空文件夹，或放宽日期和大小。",
    no_match_score=Counted("{n} 张图片中没有一张得分达到 {{score}}。", "{n} 张图片中没有一张得分达到 {{score}}。"),
    no_match_score_hint="请降低最低得分。",
    no_match_score_or_filters_hint="请降低最低得分，或放宽其他筛选条件。",
    no_match_alone="没有其他图片可以比较。",
    no_match_alone_hint="请在“图库”页面添加更多图片。",
    choose_title="请先选择一张照片",
    choose_text="拖入一张照片，或选一个样例。",
    not_an_id="这不是图片编号。",
    relative_folder="文件夹 {folder} 不是完整路径。",
    relative_folder_hint="请从磁盘根目录写起。",
    upload_too_large="文件大于 {limit} MB。",
    upload_too_large_hint="请上传较小的副本。运行本程序的人可以放宽限制：RETRIEVAL_MAX_UPLOAD_MB。",
    viewer="图片及其信息",
    viewer_facts="图片的信息",
    viewer_missing="目前无法读取原图：磁盘离线，或文件已更改。",
    viewer_previous="上一张",
    viewer_next="下一张",
    viewer_close="关闭",
    viewer_similar="查找与此相似的图片",
    viewer_count="第 {place} 张，共 {all} 张",
)
