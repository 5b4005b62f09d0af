"""Which passwords are refused, in what words; and that checking takes as long for nobody's."""

from __future__ import annotations

import argon2
import pytest

from hostemr.registration.board.passwords import Passwords, problem_with

pytestmark = pytest.mark.anyio


def cheap(time_cost: int = 1) -> argon2.PasswordHasher:
    return argon2.PasswordHasher(time_cost=time_cost, memory_cost=8, parallelism=1)


OWN = ("Ada Lovelace", "ada.lovelace@analytical.example")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short one", "at least 12 characters; this has 9"),
        ("x" * 129, "at most 128"),
        ("\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100, "at most 128"),
        ("x" * 100_000, "at most 128"),
        ("password1234", "very common"),
        ("aaaaaaaaaaaaaaaaaa", "Repeats"),
        ("lovelace ada 1815", "little more than your name"),
        ("OpenEMR board!", "little more than your name"),
        ("analytical lovelace", "little more than your name"),
    ],
)
def test_a_password_that_could_be_guessed_is_refused(password: str, words: str) -> None:
    problem = problem_with(password, OWN)
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize(
    "password",
    [
        "violet tractor whispers",
        "ночной трактор шепчет",
        "k9#Vq!mZ2@xw",
        "雨の日に緑の電車が歌う午後",
        "a" + "bcq" * 9 + " tundra",
    ],
)
def test_any_script_and_plain_words_do(password: str) -> None:
    assert problem_with(password, OWN) is None


def test_what_is_rated_is_bounded() -> None:
    # All of 72 such characters would take seconds.
    assert problem_with("4@8({[<3691!|7150$5+72%8" * 5) is None


async def test_the_same_characters_count_however_they_were_typed() -> None:
    passwords = Passwords(cheap())
    stored = await passwords.hash("crème brûlée tractor")
    assert (await passwords.check("cre\u0300me bru\u0302le\u0301e tractor", stored)).right
    assert not (await passwords.check("creme brulee tractor", stored)).right


async def test_nobodys_password_is_never_right_and_has_the_parameters_of_the_others() -> None:
    hasher = cheap()
    passwords = Passwords(hasher)
    for password in ("", "anything", "x" * 1000):
        assert not (await passwords.check(password, None)).right
    assert argon2.extract_parameters(passwords._nobodys) == argon2.extract_parameters(hasher.hash("x"))


async def test_a_hash_is_renewed_when_the_parameters_have_changed() -> None:
    stored = cheap().hash("violet tractor")
    checked = await Passwords(cheap(2)).check("violet tractor", stored)
    assert checked.right
    assert checked.renewed is not None
    assert "t=2" in checked.renewed
    assert (await Passwords(cheap()).check("violet tractor", stored)).renewed is None
