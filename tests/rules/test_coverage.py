"""What a text covers of a request, by words alone, in any script; and what makes an answer longer than it need be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forum_mcp.rules.concision import examine
from forum_mcp.rules.coverage import cover, keeps

QUIET = settings(max_examples=200, deadline=None, derandomize=True, database=None)

COVERED = [
    ("Write a css rule for a blue button", "button { color: blue; }"),
    ("Explain how photosynthesis works in plants", "Photosynthesis: plants turn light into sugar."),
    ("Sort the list of customers by city", "customers.sort(key=lambda customer: customer.city)  # the list"),
    ("Erkläre, wie man eine Datenbank sichert", "Eine Sicherung der Datenbanken macht man täglich."),
    ("Zeichne das Schema", "Das Datenbankschema, gezeichnet: a -> b"),
    ("Напиши функцию сортировки массива на Python", "def f(массив): ...  # функция для сортировок на python"),
    ("Kirjoita ohje tietokannan varmuuskopioinnista", "Tietokanta varmuuskopioidaan näin; ohje: ..."),
    ("데이터베이스 백업 방법을 설명해", "데이터베이스를 백업하는 방법: pg_dump"),
    ("数据库备份脚本", "这是数据库的备份脚本 pg_dump"),
    ("データベースのバックアップ", "データベースをバックアップするには"),
    ("ฐานข้อมูลสำรอง", "การสำรองฐานข้อมูลทำได้ดังนี้"),
    ("اشرح النسخ الاحتياطي للبيانات", "النسخ الاحتياطي يحفظ البيانات"),
]


@pytest.mark.parametrize(("request_text", "answer"), COVERED, ids=[request for request, _ in COVERED])
def test_an_answer_in_words_of_the_request_covers_it_in_any_language(request_text: str, answer: str) -> None:
    assert cover(request_text, answer).passed


@pytest.mark.parametrize("request_text", [request for request, _ in COVERED])
def test_an_answer_about_something_else_covers_nothing(request_text: str) -> None:
    found = cover(request_text, "Purple giraffes hum 7 lullabies.")
    assert not found.passed
    assert not found.covered
    assert found.missing


def test_what_is_missing_is_named_as_the_request_has_it() -> None:
    found = cover("Write a haiku about the Sea. Explain the database schema.", "The database has one schema.")
    assert found.missing == ("haiku", "sea")
    assert (found.terms, found.passed) == (4, False)
    assert found.covered == {"database", "schema"}


def test_every_part_of_a_request_must_be_covered() -> None:
    request = "Explain photosynthesis in green plants and algae\nCount the users"
    assert not cover(request, "Photosynthesis in green plants and in algae is this.").passed
    assert cover(request, "Photosynthesis in green plants and in algae is this. There are 3 users.").passed


def test_pairs_of_one_missing_run_stand_together_and_noise_of_a_covered_run_is_not_told() -> None:
    assert cover("海洋生物研究", "别的东西").missing == ("海洋生物研究",)
    assert cover("数据库备份脚本", "这是数据库的备份脚本").missing == ()


def test_an_echo_of_the_request_covers_nothing() -> None:
    request = "Describe the migration of the customer database to the new cluster"
    assert not cover(request, f"{request}\n\nI cannot do that.").passed
    assert cover(request, f"{request}\n\nThe customer database is migrated to its cluster in steps.").passed


def test_a_request_without_terms_cannot_be_told_to_be_covered() -> None:
    for request in ("do it", "", "?!", "\U0001f389", "1."):
        found = cover(request, "done")
        assert (found.passed, found.terms, found.missing) == (False, 0, ())


@QUIET
@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_is_too_strange_to_be_compared(request: str, answer: str) -> None:
    found = cover(request, answer)
    assert len(found.covered) <= found.terms
    assert cover(request, answer) == found
    assert len(found.missing) <= 50
    assert isinstance(keeps(request, answer), bool)


@QUIET
@given(st.text(max_size=200))
def test_a_text_keeps_what_it_speaks_of_itself(text: str) -> None:
    assert keeps(text, text)


def test_a_stub_of_keywords_does_not_keep_what_an_answer_speaks_of() -> None:
    answer = "The login endpoint checks the password hash, opens a session, and answers with a signed cookie."
    assert keeps(answer, "Login endpoint: checks the password hash, opens a session, sends a signed cookie.")
    assert not keeps(answer, "login endpoint")


def test_a_plain_short_answer_has_no_fault() -> None:
    assert examine("SELECT COUNT(*) FROM users;", "count users", ["x"]).faults == ()


LINE = "The table of users holds the name, the mail address and the hash of the password. "


def test_an_answer_that_says_the_same_again_is_found_in_any_script() -> None:
    found = examine(LINE * 6, "describe the table", [LINE])
    assert found.faults == ("repetition",)
    assert found.repeated_ppm > 700_000
    assert (
        "repetition"
        in examine("这个表保存用户的姓名、电子邮件地址和密码的哈希值用于登录系统。" * 12, "表", ["x"]).faults
    )
    assert "repetition" in examine("do the " * 200, "x", ["x"]).faults


def test_an_answer_longer_than_what_it_was_made_from_is_found() -> None:
    results = ["a" * 300, "b" * 300]
    long = " ".join(f"word{number}" for number in range(150))
    assert len(long) > 1_000
    assert examine(long, "x" * 200, results).faults == ("length",)
    assert examine(long, "x" * 200, [long, long]).faults == ()
    assert examine(long * 5, "hi", [long * 5]).faults == ("length", "repetition")


@pytest.mark.parametrize(
    "first",
    [
        "Sure! Here is the answer you asked for:",
        "**Certainly!**:",
        "Bien sûr, voici la requête :",
        "Natürlich! Hier ist die Abfrage:",
        "Конечно! Вот запрос:",
        "当然 以下是查询\uff1a",
    ],
)
def test_a_first_line_that_only_announces_the_rest_is_found(first: str) -> None:
    assert examine(f"{first}\n\nSELECT 1;", "x", ["y"]).faults == ("preamble",)


@pytest.mark.parametrize("answer", ["Sure: yes.", "Steps:\n1. a\n2. b", "Hier ist Platz.\nUnd dort.", "Sure!"])
def test_a_first_line_that_says_something_is_no_preamble(answer: str) -> None:
    assert examine(answer, "x", ["y"]).faults == ()
