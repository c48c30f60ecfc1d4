import hashlib

from mmxpl.utils import hash_ids


def test_hash_is_of_the_set_of_ids():
    expected = hashlib.sha256(b'a\nb\nc').hexdigest()[:12]
    assert hash_ids(['c', 'a', 'b']) == expected
    assert hash_ids(['a', 'b']) != expected
    assert hash_ids(['a', 'b']) != hash_ids(['ab'])
