"""Every cell of the matrix: each client of languages.py against each server, in all cases. And the table itself."""
import matrix
import pytest
from languages import CASES, CLIENTS, SERVERS


@pytest.mark.parametrize("client", CLIENTS, ids=lambda peer: peer.key)
@pytest.mark.parametrize("server", SERVERS, ids=lambda peer: peer.key)
def test_cell(language_peers, client, server):
    cell = matrix.run_cell(language_peers, client, server)
    if cell.hole is not None:
        pytest.skip(cell.hole)
    assert cell.problems() == {} and list(cell.outcomes) == list(matrix.GROUPS)


def test_the_groups_are_the_cases():
    assert sorted(case for cases in matrix.GROUPS.values() for case in cases) == sorted(CASES)
    assert matrix.GROUP_TEXTS.keys() == matrix.GROUPS.keys()
    assert matrix.REMARKS.keys() <= {client.key for client in CLIENTS}


def test_the_table():
    """A problem and a hole are in it, each with its footnote."""
    good = dict.fromkeys(matrix.GROUPS, "")
    cells = {(client.key, server.key): matrix.Cell(good) for client in CLIENTS for server in SERVERS}
    cells["go", "java"] = matrix.Cell(dict(good, stream="expected 5 parts, got 4"))
    cells["c", "cpp"] = cells["rust", "cpp"] = matrix.Cell(hole="no compiler")
    footnotes = matrix.Footnotes()
    rows = matrix.table(cells, footnotes)
    by_client = {row[0].partition(" [")[0]: row[1:] for row in rows[1:]}
    place = footnotes.texts.index("stream: expected 5 parts, got 4") + 1
    assert by_client["Go"] == ["6 of 6"] * 5 + ["5 of 6 [%d]" % place]
    place = footnotes.texts.index("no compiler") + 1
    assert by_client["C"] == by_client["Rust"] == ["- [%d]" % place] + ["6 of 6"] * 5
    text = matrix.markdown(rows, footnotes)
    assert "\n- [%d] no compiler\n" % place in text and text.count("6 of 6") == len(CLIENTS) * len(SERVERS) - 3
