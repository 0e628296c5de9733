import Cryptography
import Formats
import Testing

@Suite("Hashes") struct DigestTests {
    @Test("the published vectors")
    func vectors() {
        #expect(Digest.sha256Hex([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Digest.sha256Hex(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Hex.encode(Digest.sha1(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(Hex.encode(Digest.sha1([])) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
    }

    @Test("pieces give the same as the whole, and the hasher may go on")
    func pieces() {
        let whole = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        var hasher = SHA256Hasher()
        hasher.update(Array(whole[..<1]))
        hasher.update([])
        hasher.update(Array(whole[1..<700]))
        #expect(hasher.finish() == Digest.sha256(Array(whole[..<700])))
        hasher.update(Array(whole[700...]))
        #expect(hasher.finish() == Digest.sha256(whole))
    }
}

@Suite("HMAC-SHA256") struct HMACTests {
    /// RFC 4231, cases 1, 2, 3, 6 and 7: keys shorter, as long as and longer than a block.
    @Test("the vectors of RFC 4231")
    func rfc4231() {
        let cases: [(key: [UInt8], message: [UInt8], code: String)] = [
            ([UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (Array("Jefe".utf8), Array("what do ya want for nothing?".utf8), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                [UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
            ),
            (
                [UInt8](repeating: 0xAA, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
            (
                [UInt8](repeating: 0xAA, count: 131),
                Array(
                    "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."
                        .utf8), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
            ),
        ]
        for (key, message, code) in cases { #expect(Hex.encode(HMACSHA256(key: key).authenticate(message)) == code) }
    }

    struct Vector: Sendable {
        let key: String
        let message: String
        let code: String
    }

    @Test(
        "what payment providers sign, in hexadecimal",
        arguments: [
            Vector(
                key: "k-3f9b2d71e6-made-up", message: #"{"event":"payment","id":42}"#,
                code: "e0e76dbf695b2dff9f9babbc8b2259b89118aa37f062174c4f150b47742d3f21"),
            Vector(
                key: "k-3f9b2d71e6-made-up", message: #"{"client":"Kouadio N'Guessan","montant":5000,"devise":"XOF","note":"payé à Abidjan"}"#,
                code: "e9ef04a7991456e4e2c2ca77179b4e4d1d85cf2f147650fd0d0214d4b2dac277"),
            Vector(key: "k-3f9b2d71e6-made-up", message: "", code: "8a039a0e0ba5ebf4fb344784425bfb6c1fe9991af46a18a26b1b44fe205dc39e"),
            Vector(
                key: "wave_sn_WHS_madeup0000000000000000000000000000000000000000000001",
                message: #"1639081943{"id":"EV_1","type":"test.test_event","data":{}}"#,
                code: "29a3949f2e663dab0ab39f147af5f74494223b200fef12e76b7c72232d184fe6"),
            Vector(
                key: "wave_sn_WHS_madeup0000000000000000000000000000000000000000000001",
                message: #"1700000000{"id":"EV_2","data":{"payment_reason":"Réglé à Dakar"}}"#,
                code: "685eec5029f05daac11866d5d2a4f0edd32934338f3c1716166593b72aeae77b"),
            Vector(
                key: "whsec_test_made_up_stripe_secret_0001",
                message: #"1700000000.{"id":"evt_1QabcDEFghIJKLmn","object":"event","type":"payment_intent.succeeded"}"#,
                code: "bf0dd078b80fd9db27c19e60da370e344d2e50922ce441916df484c66e63310c"),
            Vector(
                key: "0123456789abcdef0123456789abcdef", message: #"{"object":"whatsapp_business_account","entry":[]}"#,
                code: "eefab58106e73358686845848feb95c56372e7391b3dc050b6a31c8c5f347ece"),
        ])
    func providers(_ vector: Vector) {
        let code = HMACSHA256(key: vector.key).authenticate(Array(vector.message.utf8))
        #expect(Hex.encode(code) == vector.code)
    }

    @Test("Standard Webhooks, key and message in parts, one key for all")
    func standardWebhooks() throws {
        let key = try #require(Base64.decode("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="))
        let hmac = HMACSHA256(key: key)
        for (id, body, code) in [
            ("msg_test_1", #"{"type":"ping"}"#, "+86jxBtFe6+EjffxjCr42pjsuI6hiKlE9AopDWb7PNM="),
            ("msg_test_2", #"{"nom":"Aïcha","ville":"חיפה"}"#, "S3cdkTDKh0gzeMNiP4u4OSZsZ/L9PYEmitJXvDnWn6I="),
            ("msg_test_3", "", "11a+nP1OzOYT4zW4HPPWyW2tiExzFQ4QQ9T3lBeJZ8g="),
        ] {
            let made = hmac.authenticate(Array(id.utf8), Array(".1700000000.".utf8), Array(body.utf8))
            #expect(Base64.encode(made) == code)
            #expect(hmac.isValid(try #require(Base64.decode(code)), for: Array("\(id).1700000000.\(body)".utf8)))
            #expect(!hmac.isValid(try #require(Base64.decode(code)), for: Array("\(id).1700000001.\(body)".utf8)))
        }
        let published = HMACSHA256(key: try #require(Base64.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD")))
        let message = #"msg_27UH4WbU6Z5A5EzD8u03UvzRbpk.1649367553.{"email":"test@example.com","username":"test_user"}"#
        #expect(Base64.encode(published.authenticate(Array(message.utf8))) == "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
    }

    @Test("one key on many threads at once gives the same")
    func threads() async {
        let hmac = HMACSHA256(key: "shared")
        let expected = hmac.authenticate([1, 2, 3])
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 { group.addTask { (0..<1000).allSatisfy { _ in hmac.authenticate([1, 2, 3]) == expected } } }
            for await same in group { #expect(same) }
        }
    }
}

@Suite("Secrets") struct SecretBytesTests {
    @Test("are compared whole, whatever their lengths")
    func comparison() {
        #expect(ConstantTime.equal([], []))
        #expect(ConstantTime.equal([1, 2], [1, 2]))
        #expect(!ConstantTime.equal([1, 2], [1, 3]))
        #expect(!ConstantTime.equal([1, 2], [1, 2, 3]))
        #expect(ConstantTime.equal("clé", "clé"))
        #expect(!ConstantTime.equal("clé", "cle"))
    }

    @Test("are random, of the length asked for")
    func random() throws {
        #expect(SecureRandom.bytes(0).isEmpty)
        #expect(SecureRandom.bytes(1000).count == 1000)
        #expect(Set((0..<1000).map { _ in SecureRandom.token() }).count == 1000)
        #expect(Base64.urlDecode(SecureRandom.token(bytes: 20))?.count == 20)
    }
}
