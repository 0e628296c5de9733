import Testing

@testable import RedisClient

@Suite struct `the wire` {
    private func encoded(_ command: RedisCommand) -> String {
        var bytes: [UInt8] = []
        command.encode(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `a command is framed with the lengths of its bytes`() {
        let ten = [UInt8](repeating: UInt8(ascii: "x"), count: 10)
        #expect(encoded(RedisCommand("PING")) == "*1\r\n$4\r\nPING\r\n")
        #expect(encoded(RedisCommand("SET", "clé", ten)) == "*3\r\n$3\r\nSET\r\n$4\r\nclé\r\n$10\r\nxxxxxxxxxx\r\n")
        #expect(
            encoded(RedisCommand("DECRBY", "k", -120, Int64.max)) == "*4\r\n$6\r\nDECRBY\r\n$1\r\nk\r\n$4\r\n-120\r\n$19\r\n9223372036854775807\r\n"
        )
        #expect(encoded(RedisCommand("SET", "", "a b"[...], ten[2..<4])) == "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$3\r\na b\r\n$2\r\nxx\r\n")
        var built = RedisCommand("LPUSH", reserving: 64)
        built.append("list")
        built.append(7)
        #expect(encoded(built) == encoded(RedisCommand("LPUSH", arguments: ["list", "7"])))
    }

    static let replies: [(String, RedisValue)] = [
        ("+OK\r\n", .simple("OK")), ("-ERR no\r\n", .error("ERR no")), (":-42\r\n", .integer(-42)), ("$-1\r\n", .null),
        ("*-1\r\n", .null), ("$0\r\n\r\n", .bulk([])), ("$4\r\n\r\n\0\u{1}\r\n", .bulk([13, 10, 0, 1])), ("*0\r\n", .array([])),
        ("*3\r\n*0\r\n*2\r\n:1\r\n*1\r\n+a\r\n$1\r\nz\r\n", .array([.array([]), .array([.integer(1), .array([.simple("a")])]), .bulk([122])])),
        ("*2\r\n-EXEC bad\r\n$-1\r\n", .array([.error("EXEC bad"), .null])),
    ]

    @Test(arguments: replies) func `a reply is read however it is cut`(text: String, value: RedisValue) {
        let bytes = Array((text + text).utf8)
        for cut in 1...bytes.count {
            let reader = ReplyReader()
            var read: [RedisValue] = []
            for start in stride(from: 0, to: bytes.count, by: cut) {
                bytes[start..<min(start + cut, bytes.count)].withUnsafeBytes { reader.feed($0) }
                while case .reply(let reply) = reader.next() { read.append(reply) }
            }
            #expect(read == [value, value], "cut every \(cut) bytes")
        }
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "*99999999999999999999\r\n", ":12a\r\n", "\0"])
    func `what is no reply is refused`(text: String) {
        let reader = ReplyReader()
        Array(text.utf8).withUnsafeBytes { reader.feed($0) }
        guard case .malformed = reader.next() else {
            Issue.record("accepted")
            return
        }
    }

    @Test func `a value is seen as what it is asked for`() {
        #expect(RedisValue.bulk(Array("12".utf8)).int == 12)
        #expect(RedisValue.bulk(Array("12x".utf8)).int == nil)
        #expect(RedisValue.bulk([0xff]).string == nil)
        #expect(RedisValue.simple("OK").bytes == [79, 75])
        #expect(RedisValue.array([.null]).array?.first?.isNull == true)
    }

    @Test func `a server error tells its code, whether a retry helps and whether it had an effect`() {
        let table: [(String, String, Bool, Bool)] = [
            ("OOM command not allowed when used memory > 'maxmemory'.", "OOM", true, false), ("READONLY You can't write", "READONLY", true, false),
            ("MISCONF Redis is configured", "MISCONF", true, false), ("LOADING Redis is loading", "LOADING", true, false),
            ("BUSY Redis is busy", "BUSY", true, false), ("NOSCRIPT No matching script.", "NOSCRIPT", true, false),
            ("NOAUTH Authentication required.", "NOAUTH", false, false), ("WRONGTYPE Operation", "WRONGTYPE", false, true),
            ("something odd", "ERR", false, true),
        ]
        for (text, code, isTransient, mayHaveBeenExecuted) in table {
            let error = RedisError.server(text)
            #expect(error.serverCode == code)
            #expect(error.isTransient == isTransient, "\(text)")
            #expect(error.mayHaveBeenExecuted == mayHaveBeenExecuted, "\(text)")
        }
    }

    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        (String(repeating: "a", count: 1000), "291e9a6c66994949b57ba5e650361e98fc36b1ba"),
    ]) func `a script's name is the SHA-1 of its source`(source: String, digest: String) {
        #expect(RedisScript(name: "test", source: source).sha1 == digest)
    }

    @Test func `pauses double up to two seconds and are cut by chance`() {
        var backoff = Backoff()
        let longest = (0..<8).map { _ in backoff.next(random: 0) }
        #expect(longest == [50, 100, 200, 400, 800, 1000, 1000, 1000].map { Duration.milliseconds($0) })
        backoff.reset()
        #expect(backoff.next(random: 0.999) > .milliseconds(25))
        #expect(backoff.next(random: 0.999) < .milliseconds(51))
    }

    @Test func `places stay in order through growing, expiring and emptying`() {
        var pending = PendingCommands()
        var taken: [UInt64] = []
        for round in 0..<5000 {
            pending.append(PendingCommand(handler: { _ in }, deadline: Int64(round % 7), end: UInt64(round)))
            if round % 3 != 0, let command = pending.popFirst() { taken.append(command.end) }
        }
        let (expired, next) = pending.expire(now: 5)
        #expect(next == 6)
        #expect(expired.count > 0 && pending.expire(now: 5).handlers.isEmpty)
        while let command = pending.popFirst() { taken.append(command.end) }
        #expect(taken == Array(0..<5000))
        #expect(pending.isEmpty && pending.popFirst() == nil)
    }
}
