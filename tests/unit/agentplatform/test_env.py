"""Values from the environment."""

from __future__ import annotations

import pytest

from agentplatform.env import WrongSetting, env_bool, env_database, env_float, env_int, env_list, env_secret


class TestEnvBool:
    @pytest.mark.parametrize(("value", "expected"), [("1", True), ("Yes", True), ("off", False), ("", False)])
    def test_takes_the_usual_words(self, monkeypatch, value, expected):
        monkeypatch.setenv("A_FLAG", value)

        assert env_bool("A_FLAG") is expected

    def test_names_the_variable_with_another_word(self, monkeypatch):
        monkeypatch.setenv("A_FLAG", "maybe")

        with pytest.raises(WrongSetting, match="A_FLAG must be true or false, not 'maybe'"):
            env_bool("A_FLAG")


class TestEnvNumber:
    @pytest.mark.parametrize("value", ["ten", "", "-1", "1.5"])
    def test_refuses_what_is_no_whole_number_of_at_least_the_minimum(self, monkeypatch, value):
        monkeypatch.setenv("A_NUMBER", value)

        with pytest.raises(WrongSetting, match="A_NUMBER must be a whole number of at least 0"):
            env_int("A_NUMBER", 3)

    @pytest.mark.parametrize("value", ["nan", "inf", "-0.1"])
    def test_refuses_numbers_nobody_can_wait_for(self, monkeypatch, value):
        monkeypatch.setenv("A_NUMBER", value)

        with pytest.raises(WrongSetting):
            env_float("A_NUMBER", 1.0)

    def test_takes_the_default_where_nothing_is_set(self, monkeypatch):
        monkeypatch.delenv("A_NUMBER", raising=False)

        assert env_float("A_NUMBER", 2.5) == 2.5


class TestEnvList:
    def test_drops_blanks_and_empty_entries(self, monkeypatch):
        monkeypatch.setenv("A_LIST", " a, ,b,")

        assert env_list("A_LIST") == ["a", "b"]


class TestEnvSecret:
    def test_reads_the_file_that_is_named(self, monkeypatch, tmp_path):
        (tmp_path / "key").write_text("from the file\n")
        monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "key"))

        assert env_secret("A_SECRET") == "from the file"

    def test_refuses_two_sources(self, monkeypatch, tmp_path):
        monkeypatch.setenv("A_SECRET", "here")
        monkeypatch.setenv("A_SECRET_FILE", str(tmp_path))

        with pytest.raises(WrongSetting, match="left out where A_SECRET is set"):
            env_secret("A_SECRET")

    def test_says_which_file_can_not_be_read(self, monkeypatch, tmp_path):
        monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "missing"))

        with pytest.raises(WrongSetting, match="A_SECRET_FILE must be a readable file"):
            env_secret("A_SECRET")


class TestEnvDatabase:
    def test_reads_a_network_address(self, monkeypatch):
        monkeypatch.setenv("A_DATABASE", "postgres://me:s%40fe@db.example:5433/our%20data?sslmode=require")

        database = env_database("A_DATABASE")

        assert (database["USER"], database["PASSWORD"], database["HOST"], database["PORT"]) == (
            "me",
            "s@fe",
            "db.example",
            "5433",
        )
        assert (database["NAME"], database["OPTIONS"]) == ("our data", {"sslmode": "require"})

    def test_reads_a_socket_folder_with_spaces(self, monkeypatch):
        monkeypatch.setenv("A_DATABASE", "postgresql://me@/data?host=/a%20folder/of%20sockets")

        database = env_database("A_DATABASE")

        assert (database["HOST"], database["NAME"], database["PORT"]) == ("/a folder/of sockets", "data", "")

    def test_keeps_the_password_out_of_the_error(self, monkeypatch):
        monkeypatch.setenv("A_DATABASE", "mysql://me:hunter2@db/data")

        with pytest.raises(WrongSetting) as caught:
            env_database("A_DATABASE")

        assert "hunter2" not in str(caught.value)
