"""Ed25519 of the standalone verifier against the library, and against keys and signatures that only forgers make."""

import random
from base64 import b64encode
from hashlib import sha512

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from forum_mcp.ledger import checkpoint, merkle, note
from forum_mcp.ledger.standalone import verify_ed25519
from tests.ledger.building import LEDGER, SIGNER, SmallLedger
from tests.standalone.pair import agreed, exported

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
SMALL = [
    (0).to_bytes(32, "little"),
    (1).to_bytes(32, "little"),
    (P - 1).to_bytes(32, "little"),
    ORDER_8,
    (P - int.from_bytes(ORDER_8, "little")).to_bytes(32, "little"),
]
RFC_8032 = [  # section 7.1: public key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
            "5141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb0"
            "0d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc0"
            "27beceea1ec40a"
        ),
    ),
]


RFC_8032_SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")


def scalar(seed: bytes) -> int:
    """Return the secret scalar of a seed (RFC 8032, 5.1.5)."""
    return int.from_bytes(sha512(seed).digest()[:32], "little") & ((1 << 254) - 8) | (1 << 254)


def library(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032_verify(key: str, message: str, signature: str) -> None:
    assert verify_ed25519(bytes.fromhex(key), bytes.fromhex(signature), bytes.fromhex(message))


def test_good_and_spoilt_signatures_are_judged_as_the_library_judges_them() -> None:
    chance = random.Random(8032)
    for length in range(24):
        private = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        key, message = private.public_key().public_bytes_raw(), chance.randbytes(length)
        signature = private.sign(message)
        assert verify_ed25519(key, signature, message)
        spoilt = bytearray(signature)
        spoilt[chance.randrange(64)] ^= 1 << chance.randrange(8)
        other_key = bytearray(key)
        other_key[chance.randrange(32)] ^= 1 << chance.randrange(8)
        for case in (
            (key, bytes(spoilt), message),
            (bytes(other_key), signature, message),
            (key, signature, message + b"\0"),
            (key, signature[:63], message),
            (key, signature + b"\0", message),
            (chance.randbytes(32), chance.randbytes(64), message),
        ):
            assert verify_ed25519(*case) is library(*case) is False


def test_an_s_that_is_not_reduced_is_refused() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key, signature = private.public_key().public_bytes_raw(), private.sign(b"text")
    s = int.from_bytes(signature[32:], "little") + ORDER
    malleable = signature[:32] + s.to_bytes(32, "little")
    assert verify_ed25519(key, malleable, b"text") is library(key, malleable, b"text") is False


def test_a_key_plus_a_point_of_small_order_is_judged_as_the_library_judges_it() -> None:
    def point(spelt: bytes) -> tuple[int, int]:
        y, sign = int.from_bytes(spelt, "little") & ((1 << 255) - 1), spelt[31] >> 7
        square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        x = pow(square, (P + 3) // 8, P)
        x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
        return (x if x & 1 == sign else P - x), y

    (x1, y1), (x2, y2) = point(bytes.fromhex(RFC_8032[0][0])), point(ORDER_8)
    t = D * x1 * x2 * y1 * y2
    x, y = (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P
    mixed = (y | (x & 1) << 255).to_bytes(32, "little")
    secret, r = scalar(RFC_8032_SECRET), scalar(b"\7" * 32)
    spelt_r = Ed25519PrivateKey.from_private_bytes(b"\7" * 32).public_key().public_bytes_raw()
    seen: set[bool] = set()
    for number in range(24):
        message = bytes([number])
        h = int.from_bytes(sha512(spelt_r + mixed + message).digest(), "little") % ORDER
        signature = spelt_r + ((r + h * secret) % ORDER).to_bytes(32, "little")
        verdict = verify_ed25519(mixed, signature, message)
        assert verdict is library(mixed, signature, message)
        seen.add(verdict)
    assert seen == {True, False}, (
        "such a signature holds for one message in eight: without the cofactor, as the library"
    )


@pytest.mark.parametrize(
    "key", [*SMALL, *(bytes([*k[:31], k[31] | 0x80]) for k in SMALL), (P + 1).to_bytes(32, "little")]
)
def test_a_key_that_signs_anything_signs_nothing_for_either_verifier(key: bytes) -> None:
    identity = (1).to_bytes(32, "little")
    ledger = SmallLedger(opened=False)
    vkey = note.vkey(SIGNER.name, key)
    ledger.append("ledger.opened", {"format": 1, "software": "test", "vkey": vkey})
    body = checkpoint.format(checkpoint.Checkpoint(checkpoint.origin_of(LEDGER), 1, merkle.root(ledger.leaves)))
    for r in (identity, key):
        assert not verify_ed25519(key, r + bytes(32), body.encode())
        blob = b64encode(note.parse_vkey(vkey).key_id + r + bytes(32)).decode()
        forged = f"{body}\n\N{EM DASH} {SIGNER.name} {blob}\n"
        with pytest.raises(note.NoteError):
            note.verify(forged, vkey)
        found = agreed(exported(ledger), kept=[forged], vkeys=[vkey])
        assert ("checkpoint-signature", None, None) in found
