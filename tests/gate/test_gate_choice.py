"""Which plugin of a library is meant, on real libraries and a stand-in for TensorRT's registry."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from verify.engines import Status
from verify.errors import InputError
from verify.gate import CouldNotVerify, DoNotShip, Order, obstacle, outcome, register
from verify.library import read

Build = Callable[..., Path]
Creators = Callable[..., str]

PLAIN: tuple[object, ...] = ("MishExact", "1", "", [])
FIELDS: tuple[object, ...] = (
    "MyMish",
    "2",
    "acme",
    [["alpha", "FLOAT32"], ["mode", "INT32"], ["kind", "CHAR"]],
)
OTHER: tuple[object, ...] = ("Swish", "1", "", [])


def order(path: Path, **more: object) -> Order:
    return Order(read(path), **more)  # type: ignore[arg-type]


@pytest.mark.usefixtures("stand_in")
class TestRegister:
    def test_the_only_one_with_mish_in_its_name_is_taken(
        self, build: Build, creators: Creators
    ) -> None:
        target = register(order(build("two", creators(OTHER, PLAIN))))
        assert (target.node.op, target.node.version, target.node.namespace) == (
            "MishExact",
            "1",
            "",
        )
        assert target.listing.version == "8.6.0"
        assert not target.listing.on_request

    def test_another_is_named_with_its_fields(self, build: Build, creators: Creators) -> None:
        path = build("two", creators(FIELDS, PLAIN))
        given = (("alpha", "0.5"), ("mode", "3"), ("kind", "fast"))
        target = register(order(path, op="MyMish", fields=given))
        assert target.node.fields == (("alpha", 0.5), ("mode", 3), ("kind", "fast"))
        assert target.node.namespace == "acme"

    @pytest.mark.parametrize(
        ("found", "more", "words"),
        [
            ((FIELDS, PLAIN), {}, "several have 'mish' in the name; choose with --op"),
            ((OTHER,), {}, "none has 'mish' in the name; choose with --op"),
            (
                (OTHER,),
                {"op": "Mish2"},
                "--op 'Mish2' is not registered; the library registers 'Sw",
            ),
            ((PLAIN,), {"op": "MishExact", "version": "2"}, "--op 'MishExact' is not registered"),
            (
                (PLAIN, ("MishExact", "2", "", [])),
                {"op": "MishExact"},
                "--op 'MishExact' is registered more than once",
            ),
            ((FIELDS,), {"fields": (("beta", "1"),)}, "no such field; it has: alpha, mode, kind"),
            ((PLAIN,), {"fields": (("beta", "1"),)}, "no such field; it has: none"),
            ((FIELDS,), {"fields": (("mode", "x"),)}, "--field mode=x: the field's type is INT32"),
            (
                (FIELDS,),
                {"fields": (("alpha", "x"),)},
                "--field alpha=x: the field's type is FLOAT",
            ),
            ((FIELDS,), {"fields": (("mode", "1"), ("mode", "2"))}, "--field: "),
        ],
    )
    def test_an_unclear_choice_lists_what_there_is(
        self,
        build: Build,
        creators: Creators,
        found: tuple[object, ...],
        more: dict[str, object],
        words: str,
    ) -> None:
        with pytest.raises(InputError, match=re.escape(words)) as caught:
            register(order(build("some", creators(*found)), **more))
        assert "\n" not in str(caught.value)

    def test_version_and_namespace_tell_namesakes_apart(
        self, build: Build, creators: Creators
    ) -> None:
        path = build("some", creators(PLAIN, ("MishExact", "1", "acme", [])))
        assert register(order(path, op="MishExact", namespace="")).node.namespace == ""
        assert register(order(path, op="MishExact", namespace="acme")).node.namespace == "acme"

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ("extern int gone(void); int f(void) { return gone(); }", "undefined symbol: gone"),
            ("#include <signal.h>\nCONSTRUCT { raise(SIGSEGV); }", "was ended by SIGSEGV"),
            ("#include <unistd.h>\nCONSTRUCT { _exit(0); }", "ended itself with exit code 0"),
            (
                "#include <stdlib.h>\n__attribute__((destructor)) static void s(void) { abort(); }",
                "a process that only loaded the library was ended by SIGABRT",
            ),
        ],
    )
    def test_a_library_that_can_not_be_loaded_must_not_ship(
        self, build: Build, creators: Creators, more: str, words: str
    ) -> None:
        construct = "__attribute__((constructor)) static void s(void)"
        source = creators(PLAIN, more=more.replace("CONSTRUCT", construct))
        with pytest.raises(DoNotShip, match=words):
            register(order(build("broken", source)))

    def test_a_library_that_registers_nothing_must_not_ship(self, build: Build) -> None:
        with pytest.raises(DoNotShip, match="registers no plugin creator"):
            register(order(build("empty", "int f(void) { return 1; }")))

    def test_a_plugin_of_the_operators_own_name_is_never_used(
        self, build: Build, creators: Creators
    ) -> None:
        with pytest.raises(DoNotShip, match="parser decomposes"):
            register(order(build("named", creators(("Mish", "1", "", [])))))

    def test_what_is_preloaded_gives_its_symbols(self, build: Build, creators: Creators) -> None:
        source = creators(PLAIN, more="extern int helper(void); int f(void) { return helper(); }")
        path, helper = build("needy", source), build("helper", "int helper(void) { return 1; }")
        with pytest.raises(DoNotShip, match="undefined symbol: helper"):
            register(order(path))
        assert register(order(path, preload=(str(helper),))).plugin.preload == (str(helper),)
        with pytest.raises(DoNotShip, match="--preload "):
            register(order(path, preload=("/none/such.so",)))


def test_without_tensorrt_nothing_is_verified(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "broken" / "tensorrt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('libcudnn.so.8: no such file')")
    monkeypatch.syspath_prepend(str(package.parent))
    with pytest.raises(CouldNotVerify, match=r"can't be imported: libcudnn\.so\.8"):
        register(order(build("plain", "int f(void) { return 1; }")))


HERE = Status("tensorrt", "8.6.0", True, True, "a GPU")


@pytest.mark.parametrize(
    ("soname", "words"),
    [
        ("libnvinfer.so.8", ""),
        ("libnvinfer.so.10", "linked against TensorRT 10, and TensorRT 8.6.0 is at hand"),
        ("libtensorrt_rtx.so.1", "linked against TensorRT-RTX 1; the gate executes full TensorRT"),
    ],
)
def test_a_library_for_another_tensorrt_can_not_be_verified(
    linked: Callable[[str], Path], soname: str, words: str
) -> None:
    said = obstacle(read(linked(soname)), HERE)
    assert words in said
    assert bool(words) == bool(said)


def test_a_machine_that_executes_nothing_says_what_it_needs(build: Build) -> None:
    library = read(build("plain", "int f(void) { return 1; }"))
    assert obstacle(library, HERE) == ""
    status = Status("tensorrt", "", False, False, "", "no GPU", "a GPU")
    assert obstacle(library, status) == "no GPU; it needs a GPU"


def test_nothing_executed_is_never_ship() -> None:
    last = outcome([], "libfoo.so")
    assert (last.word, last.exit_code) == ("DO NOT SHIP", 1)
