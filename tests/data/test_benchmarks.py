"""Small trees in the layouts in which data sets are distributed, filled with real clips."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from hashtag2action.data.benchmarks import KINDS, Benchmark, parse_source, read_benchmark
from hashtag2action.data.benchmarks.files import walk_videos
from hashtag2action.data.benchmarks.lists import read_unlabelled
from hashtag2action.data.splits import Sample
from hashtag2action.errors import UserError
from hashtag2action.media.container import MediaError
from hashtag2action.media.frame_folder import FrameFolder, frames_path


class Tree:
    """Builds a data set's folder."""

    def __init__(self, root: Path, clips: list[Path]) -> None:
        self.root, self._clips, self._next = root, clips, 0

    def video(self, name: str) -> Path:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self._clips[self._next % len(self._clips)], target)
        self._next += 1
        return target

    def text(self, name: str, *lines: str) -> Path:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return target

    def pictures(self, name: str, count: int) -> Path:
        """Frames of a real clip as `img_00001.jpg` and so on."""
        folder = self.root / name
        folder.mkdir(parents=True)
        with av.open(str(self._clips[0])) as container:
            for number, frame in zip(range(1, count + 1), container.decode(video=0), strict=False):
                frame.to_image().save(folder / f"img_{number:05d}.jpg", quality=95)
        return folder


@pytest.fixture
def tree(tmp_path: Path, small_clips: list[Path]) -> Tree:
    return Tree(tmp_path / "set", small_clips)


def rows(samples: tuple[Sample, ...], root: Path) -> list[tuple[str, str, str]]:
    return [(sample.path.relative_to(root).as_posix(), sample.label, sample.group) for sample in samples]


def ucf101(tree: Tree) -> Path:
    tree.text("ucfTrainTestlist/classInd.txt", "1 Archery", "2 HandstandPushups")
    train = ["Archery/v_Archery_g08_c01.avi 1", "Archery/v_Archery_g08_c02.avi 1", "Archery/v_Archery_g09_c01.avi 1"]
    train += [f"HandstandPushups/v_HandStandPushups_g{i:02d}_c01.avi 2" for i in (8, 9)]
    test = ["Archery/v_Archery_g01_c01.avi", "HandstandPushups/v_HandStandPushups_g01_c01.avi"]
    for split in (1, 2, 3):
        tree.text(f"ucfTrainTestlist/trainlist{split:02d}.txt", *(train if split == 1 else train[:2] + train[3:4]))
        tree.text(f"ucfTrainTestlist/testlist{split:02d}.txt", *test)
    for line in (*train, *test):
        tree.video(f"UCF-101/{line.split()[0]}")
    return tree.root


def test_ucf101_has_three_splits_and_official_groups(tree: Tree) -> None:
    root = ucf101(tree)
    found = read_benchmark("ucf101", root, 1)
    assert found.classes == ("Archery", "HandstandPushups") and found.val is None and not any(found.missing.values())
    assert rows(found.train, root / "UCF-101")[0] == ("Archery/v_Archery_g08_c01.avi", "Archery", "Archery_g08")
    assert [sample.group for sample in found.test] == ["Archery_g01", "HandstandPushups_g01"]
    assert [len(read_benchmark("ucf101", root, split).train) for split in (1, 2, 3)] == [5, 3, 3]
    with pytest.raises(UserError, match="no split 4"):
        read_benchmark("ucf101", root, 4)


def test_the_official_test_is_used_as_it_is_and_validation_comes_from_the_training_groups(tree: Tree) -> None:
    found = read_benchmark("ucf101", ucf101(tree), 1)
    split = found.to_split(val_share=0.3)
    assert split.test == found.test and set(split.train) | set(split.val) == set(found.train)
    assert split.shared_groups() == ()


HMDB = [
    "April_09_brush_hair_u_nm_np1_ba_goo_0.avi",
    "#20_Rhythm_brush_hair_u_nm_np1_fr_goo_1.avi",
    "Brushing my hair [HQ] & more;_brush_hair_h_cm_np1_le_med_2.avi",
    "(x) a's b_brush_hair_f_nm_np2_ri_bad_0.avi",
]


def test_hmdb51_reads_names_that_hold_anything(tree: Tree) -> None:
    tree.text(
        "testTrainMulti_7030_splits/brush_hair_test_split2.txt",
        *(f"{n} {u} " for n, u in zip(HMDB, "1210", strict=True)),
    )
    tree.text(
        "testTrainMulti_7030_splits/wave_test_split2.txt",
        "a_wave_u_nm_np1_fr_goo_0.avi 2",
        "b_wave_u_cm_np1_fr_med_3.avi 1",
    )
    for name in HMDB[:2]:
        tree.video(f"hmdb51_org/brush_hair/{name}")
    tree.video(
        "hmdb51_org/brush_hair/Brushing_my_hair_[HQ]_more;_brush_hair_h_cm_np1_le_med_2.mp4"
    )  # as a tool renamed it
    tree.video("hmdb51_org/wave/a_wave_u_nm_np1_fr_goo_0.avi")
    found = read_benchmark("hmdb51", tree.root, 2)
    assert found.classes == ("brush_hair", "wave")
    assert [sample.group for sample in found.train] == ["April_09", "Brushing my hair [HQ] & more;"]
    assert [sample.path.name for sample in found.test] == [HMDB[1], "a_wave_u_nm_np1_fr_goo_0.avi"]
    assert found.missing == {"train": ("wave/b_wave_u_cm_np1_fr_med_3.avi",), "test": ()}


def test_kinetics_counts_what_is_gone(tree: Tree) -> None:
    head = "label,youtube_id,time_start,time_end,split,is_cc"
    tree.text(
        "annotations/train.csv",
        head,
        "abseiling,-3B32lodo2M,59,69,train,0",
        "massaging person's head,--07WQ2iBlw,1,11,train,1",
        '"sword, fighting",_aB-cd_EFgh,0,10,train,0',
        "abseiling,gone0000000,10,20,train,0",
    )
    tree.text(
        "annotations/validate.csv",
        head,
        "abseiling,AbCdEfGhIjK,137,147,validate,0",
        "abseiling,aBcDeFgHiJk,7,17,validate,0",
    )
    tree.video("train/abseiling/-3B32lodo2M_000059_000069.mp4")
    tree.video("train/--07WQ2iBlw_1_11.webm")
    tree.video("train/sword, fighting/_aB-cd_EFgh.mkv")
    tree.video("val/AbCdEfGhIjK_000137_000147.mp4")
    found = read_benchmark("k400", tree.root)
    assert found.classes == ("abseiling", "massaging person's head", "sword, fighting")
    assert [sample.group for sample in found.train] == ["-3B32lodo2M", "--07WQ2iBlw", "_aB-cd_EFgh"]
    assert [sample.path.name for sample in found.test] == ["AbCdEfGhIjK_000137_000147.mp4"]
    assert [len(found.missing[part]) for part in ("train", "test")] == [1, 1]
    assert "aBcDeFgHiJk" in found.missing["test"][0]  # ids differ by case
    notes = found.to_split().notes
    assert "1 train videos are not on disk" in notes and any("validation list is the test" in note for note in notes)


def test_something_something_loses_the_brackets(tree: Tree) -> None:
    tree.text(
        "labels/labels.json", json.dumps({"Holding something next to something": "1", "Approaching something": "0"})
    )
    entry = {
        "id": "78687",
        "label": "holding potato next to bottle",
        "template": "Holding [something] next to [something]",
    }
    odd = {"id": "5", "template": "Eating [something]"}
    tree.text("labels/train.json", json.dumps([entry, odd]))
    tree.text("labels/validation.json", json.dumps([{"id": "7", "template": "Approaching [something]"}]))
    tree.video("20bn-something-something-v2/78687.webm")
    tree.pictures("20bn-something-something-v2/7", 3)
    found = read_benchmark("ssv2", tree.root)
    assert found.classes == ("Approaching something", "Holding something next to something")
    assert [(s.path.name, s.label) for s in found.train] == [("78687.webm", found.classes[1])]
    assert [(s.path.name, s.label) for s in found.test] == [("7", found.classes[0])]
    assert found.problems == ("train.json entry 2: template 'Eating something' is not in labels.json",)
    with pytest.raises(UserError, match="Eating something"):
        found.to_split()


def test_official_lists_of_videos_and_of_pictures(tree: Tree) -> None:
    tree.video("k400/jf7R.mp4"), tree.video("k400/with space.mp4")
    tree.pictures("ssv2/12", 9)
    tree.text("train.csv", "k400/jf7R.mp4 0", "k400/with space.mp4 1", "ssv2/12 9 2")
    tree.text("val.csv", "k400/gone.mp4 1")
    tree.text("test.csv", "k400/gone.mp4 1")
    tree.text("classes.txt", "run", "jump", "sit")
    found = read_benchmark("list", tree.root)
    assert [sample.label for sample in found.train] == ["run", "jump", "sit"]
    assert found.train[2].path == tree.root / "ssv2/12/frames@1+9"
    assert found.val is None and found.missing["test"] == ("k400/gone.mp4",) and "only the test here" in found.notes[0]
    with_commas = tree.text("train.csv", "k400/jf7R.mp4,0", "k400/with space.mp4,1")
    assert with_commas and [sample.path.name for sample in read_benchmark("k710", tree.root).train] == [
        "jf7R.mp4",
        "with space.mp4",
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["a.mp4 0", "b.mp4 7"], "class number 7, of 2 classes"),
        (["a.mp4 0", "b.mp4 -1"], "'-1' is no class number"),
        (["a.mp4 0", "b.mp4 walking"], "'walking' is no class number"),
        (["a.mp4 0", "b.mp4 0"], "1 of 2 classes have no video (jump)"),
    ],
)
def test_labels_of_wrong_shape_are_named(lines: list[str], problem: str, tree: Tree) -> None:
    tree.video("a.mp4"), tree.video("b.mp4")
    tree.text("train.csv", *lines)
    tree.text("classes.txt", "run", "jump")
    found = read_benchmark("list", tree.root)
    assert problem in found.problems[0]
    with pytest.raises(UserError, match="see `h2a dataset check`"):
        found.to_split()


def test_a_gap_in_the_class_numbers_is_a_problem_without_names_too(tree: Tree) -> None:
    tree.video("a.mp4"), tree.video("b.mp4")
    tree.text("train.csv", "a.mp4 0", "b.mp4 2")
    assert read_benchmark("list", tree.root).problems == ("train list: 1 of 3 classes have no video (1)",)


def test_unlabelled_lists(tree: Tree) -> None:
    path = tree.text("hybrid.csv", "k400/a b.mp4 0 -1", "ssv2/12 1 300")
    assert read_unlabelled(path) == [tree.root / "k400/a b.mp4", tree.root / "ssv2/12/frames@1+300"]
    path.write_text("one.mp4 label\n")
    with pytest.raises(UserError, match="line 1 is not"):
        read_unlabelled(path)


def test_a_folder_per_class_with_and_without_a_test(tree: Tree) -> None:
    for name in ("run/a.mp4", "run/b.mp4", "jump/deep/c.mp4"):
        tree.video(name)
    (tree.root / "empty").mkdir()
    plain = read_benchmark("folder", tree.root)
    assert [sample.label for sample in plain.train] == ["jump", "run", "run"] and plain.test == ()
    assert plain.problems == ("folder empty: a class without videos",)
    (tree.root / "empty").rmdir()
    whole = read_benchmark("folder", tree.root).to_split(val_share=0)
    assert [sample.label for sample in whole.test] == ["run"] and len(whole.train) == 2
    other = Tree(tree.root.parent / "other", tree._clips)
    for name in ("train/run/a.mp4", "train/jump/b.mp4", "val/run/c.mp4"):
        other.video(name)
    parted = read_benchmark("folder", other.root)
    assert [len(parted.train), len(parted.test)] == [2, 1] and "no test folder" in parted.notes[0]


def test_a_csv_of_ones_own(tree: Tree) -> None:
    tree.video("a.mp4"), tree.video("b, c.mp4")
    path = tree.text(
        "set.csv", "path,label,group,part", "a.mp4,run,p1,train", '"b, c.mp4",run,p2,test', "gone.mp4,jump,p3,train"
    )
    found = read_benchmark("csv", path)
    assert rows(found.train + found.test, tree.root) == [("a.mp4", "run", "p1"), ("b, c.mp4", "run", "p2")]
    assert found.missing["train"] == ("gone.mp4",) and found.classes == ("jump", "run")


def test_a_frozen_snapshot(tree: Tree) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [
        ("path", "clips/a.mp4", "clips/b.mp4", "clips/c.mp4"),
        ("video_sha256", "x", "y", "z"),
        ("label", "run", None, None),
    ]
    columns += [("group", "g", None, None), ("hashtags", ["fast"], ["jump", "up"], [])]
    tree.video("clips/a.mp4"), tree.video("clips/b.mp4")
    folder = tree.root / "snapshots" / "one"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({name: list(values) for name, *values in columns}), folder / "clips.parquet")
    found = read_benchmark(*parse_source(str(folder)))
    assert rows(found.train, tree.root) == [("clips/a.mp4", "run", "g"), ("clips/b.mp4", "jump", "y")]
    assert found.notes == ("1 clips have neither label nor hashtag and are left out",)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_ends_in_one_clear_line(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_benchmark(kind, tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00binary", b'{"a": [', b"[" * 100_000])
def test_a_list_that_is_none_ends_in_one_clear_line(content: bytes, tree: Tree) -> None:
    for name in ("labels.json", "train.csv", "ucfTrainTestlist/classInd.txt"):
        tree.text(name).write_bytes(content)
    for kind in ("ssv2", "ucf101"):
        with pytest.raises(UserError) as error:
            read_benchmark(kind, tree.root)
        assert "\n" not in str(error.value)


def test_sources_on_the_command_line(tmp_path: Path) -> None:
    assert parse_source("ucf101:/data/UCF 101") == ("ucf101", Path("/data/UCF 101"))
    assert parse_source(str(tmp_path)) == ("folder", tmp_path)
    with pytest.raises(UserError, match="expected KIND:ROOT"):
        parse_source("ucf102:/data")


def test_links_in_a_circle_are_walked_once(tree: Tree) -> None:
    video = tree.video("a/one.mp4")
    (tree.root / "a" / "again").symlink_to(tree.root)
    assert list(walk_videos(tree.root)) == [video]


def test_pictures_are_read_like_a_video(tree: Tree) -> None:
    folder = tree.pictures("12", 9)
    reader = FrameFolder(frames_path(folder, 3, 5))
    assert reader.frames == 5 and reader.read([4, 0, 0]).shape[0] == 3
    whole = FrameFolder(folder)
    assert whole.frames == 9 and np.array_equal(reader.read([0]), whole.read([2]))
    assert min(whole.read([0], short_side=32).shape[1:3]) == 32
    (folder / "img_00002.jpg").write_bytes(b"\xff\xd8\xffno picture")
    with pytest.raises(MediaError, match=r"img_00002\.jpg"):
        whole.read([1])
    with pytest.raises(MediaError, match="no numbered pictures"):
        FrameFolder(frames_path(folder, 100, 5))


def test_benchmarks_are_values(tree: Tree) -> None:
    found = read_benchmark("ucf101", ucf101(tree))
    assert isinstance(found, Benchmark) and found == read_benchmark("ucf101", tree.root)
