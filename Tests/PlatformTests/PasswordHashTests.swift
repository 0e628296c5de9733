import Cryptography
import Formats
import Testing

@Suite("Passwords, sealed bytes and the codes' alphabet")
struct PasswordHashTests {
    @Test(
        "scrypt is that of RFC 7914",
        arguments: [
            (
                "", "", 16, 1, 1,
                "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"
            ),
            (
                "password", "NaCl", 1024, 8, 16,
                "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
            ),
            (
                "pleaseletmein", "SodiumChloride", 16384, 8, 1,
                "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
            ),
        ])
    func scrypt(password: String, salt: String, n: Int, r: Int, p: Int, expected: String) {
        let bytes = PasswordHash.derive(password, salt: Array(salt.utf8), cost: .init(n: n, r: r, p: p), length: 64)
        #expect(Hex.encode(bytes) == expected)
    }

    @Test("a hash matches its password only, and two of the same password differ")
    func hash() {
        let cost = PasswordHash.Cost(n: 256, r: 8, p: 1)
        let (one, two) = (PasswordHash(of: "motdepasse é", cost: cost), PasswordHash(of: "motdepasse é", cost: cost))
        #expect(one.matches("motdepasse é") && !one.matches("motdepasse e") && !one.matches(""))
        #expect(one.salt != two.salt && one.bytes != two.bytes)
    }

    @Test("HMAC-SHA1 is that of RFC 2202")
    func sha1() {
        #expect(
            Hex.encode(HMACSHA1.authenticate(Array("Hi There".utf8), key: [UInt8](repeating: 0x0b, count: 20)))
                == "b617318655057264e28bc0b6fb378c8ef146be00")
        #expect(
            Hex.encode(HMACSHA1.authenticate(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8)))
                == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
    }

    @Test("sealed bytes open with their key for what they belong to, and not when a bit of them was changed")
    func sealed() {
        let (key, plain, context) = (SecureRandom.bytes(32), Array("a secret".utf8), Array("usr_1".utf8))
        let sealed = SealedBytes.seal(plain, key: key, context: context)
        #expect(SealedBytes.open(sealed, key: key, context: context) == plain)
        #expect(SealedBytes.seal(plain, key: key, context: context) != sealed)
        #expect(SealedBytes.open(sealed, key: SecureRandom.bytes(32), context: context) == nil)
        #expect(SealedBytes.open(sealed, key: key, context: Array("usr_2".utf8)) == nil)
        for place in sealed.indices {
            var changed = sealed
            changed[place] ^= 1
            #expect(SealedBytes.open(changed, key: key, context: context) == nil)
        }
        #expect(SealedBytes.open(Array(sealed.prefix(27)), key: key, context: context) == nil)
        #expect(SealedBytes.open(SealedBytes.seal([], key: key, context: []), key: key, context: []) == [])
    }

    @Test(
        "Base32 is that of RFC 4648, without its padding",
        arguments: [
            ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI"),
        ])
    func base32(plain: String, text: String) {
        #expect(Base32.encode(Array(plain.utf8)) == text)
        #expect(Base32.decode(text) == Array(plain.utf8) && Base32.decode(text.lowercased()) == Array(plain.utf8))
        #expect(Base32.decode(text + "1") == nil)
    }
}
