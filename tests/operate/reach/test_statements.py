"""What a statement does is known before it is sent."""

from __future__ import annotations

import pytest

from hostemr.operate.reach.statements import split


class TestReading:
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT 1",
            "(SELECT 1) UNION (SELECT 2)",
            "  -- the patients\n select * from patient_data for update",
            "# note\nSHOW TABLES",
            "/* DELETE FROM a */ DESCRIBE patient_data",
            "EXPLAIN SELECT 1",
            "EXPLAIN DELETE FROM a",
            "EXPLAIN ANALYZE SELECT 1",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "SELECT 'INTO', \"DELETE\", `into` FROM a",
            "SELECT REPLACE(name, 'a', 'b') FROM a",
            "SELECT /*+ MAX_EXECUTION_TIME(1000) */ 1",
            "SELECT 'it''s -- INTO', 'a\\' INTO'",
        ],
    )
    def test_it_is_told_from_its_words(self, sql: str) -> None:
        (statement,) = split(sql)
        assert statement.only_reads

    @pytest.mark.parametrize(
        "sql",
        [
            "DELETE FROM a",
            "update a set b = 1",
            "SELECT 1 INTO OUTFILE S3 's3-us-east-1://bucket/patients'",
            "SELECT 1 INTO @a",
            "WITH a AS (SELECT 1) DELETE FROM b",
            "WITH RECURSIVE a(n) AS (SELECT 1) UPDATE b SET c = 1",
            "EXPLAIN ANALYZE DELETE a FROM a JOIN b",
            "DESC ANALYZE UPDATE a SET b = 1",
            "/*! DELETE FROM a */",
            "/*!50000 DELETE FROM a */",
            "SELECT 1 /*! INTO OUTFILE '/tmp/a' */",
            "CALL tidy()",
            "SET GLOBAL general_log = 1",
            "GRANT SELECT ON *.* TO 'a'",
            "LOAD DATA FROM S3 's3://a/b' INTO TABLE c",
            "DROP TABLE a",
            "DO SLEEP(1)",
        ],
    )
    def test_whatever_else_is_taken_to_change_something(self, sql: str) -> None:
        (statement,) = split(sql)
        assert not statement.only_reads

    def test_a_double_dash_without_a_space_is_no_comment(self) -> None:
        assert not split("DELETE FROM a WHERE b = 1--2")[0].only_reads
        assert split("SELECT 5--2 INTO @a")[0].only_reads is False

    @pytest.mark.parametrize(
        "sql",
        [
            # No comment to MySQL: a name with that space in it follows two minus signs.
            "SELECT a --\u00a0 FROM (SELECT 1 AS a, 2 AS `\u00a0`) t INTO OUTFILE '/tmp/a'",
            # A comment to MySQL: what stands in it opens no text.
            "SELECT 1 --\x01 '\nINTO OUTFILE '/tmp/a'",
        ],
    )
    def test_comments_begin_where_mysql_has_them_begin(self, sql: str) -> None:
        assert not split(sql)[0].only_reads

    def test_changes_of_the_schema_are_known(self) -> None:
        assert split("ALTER TABLE a ADD b INT")[0].defines
        assert not split("UPDATE a SET b = 1")[0].defines


class TestSplitting:
    def test_it_ends_at_semicolons_that_nothing_hides(self) -> None:
        text = "SELECT ';' ; -- one; two\nSELECT \"a;b\" /* ; */;\n\n;SELECT `c;d`; # end;\n"
        assert [one.text for one in split(text)] == [
            "SELECT ';'",
            '-- one; two\nSELECT "a;b" /* ; */',
            "SELECT `c;d`",
        ]

    def test_a_text_that_is_not_closed_hides_the_rest(self) -> None:
        assert [one.text for one in split("SELECT 'a; DELETE FROM b")] == ["SELECT 'a; DELETE FROM b"]

    def test_comments_alone_are_no_statement(self) -> None:
        assert split("-- nothing\n /* at all */ ;") == []


def test_placeholders_are_known_from_what_looks_like_them() -> None:
    (statement,) = split("SELECT ':no', @a:=1, '10:30' FROM t WHERE b = :b AND c>:c_2 AND d=:b -- :never")
    assert statement.placeholders == {"b", "c_2"}
