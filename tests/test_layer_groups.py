from lowrankgan.layer_groups import split


def test_layers_are_cut_before_some() -> None:
    assert split([2, 3, 5, 6, 9], []) == [[2, 3, 5, 6, 9]]
    assert split(range(2, 7), [3, 6]) == [[2], [3, 4, 5], [6]]
    assert split([2, 3, 5, 9], [4]) == [[2, 3], [5, 9]]


def test_no_group_is_empty() -> None:
    assert split([0], [7, 10]) == [[0]]
    assert split([4, 5, 8], [4, 6, 7, 30]) == [[4, 5], [8]]
