/// A Lua script that is called by the SHA-1 of its source.
public struct RedisScript: Sendable {
    /// For messages and logs only.
    public let name: String
    public let source: String
    /// 40 hex digits, as SCRIPT LOAD gives them.
    public let sha1: String

    public init(name: String, source: String) {
        self.name = name
        self.source = source
        sha1 = SHA1.hex(Array(source.utf8))
    }
}

/// One call of a script: built once, sent by SHA, and sent again with the source when Redis does not have the script.
public struct RedisScriptCall: Sendable {
    public let script: RedisScript
    /// Number of keys, keys, arguments.
    private var rest = RedisCommand()

    public init(_ script: RedisScript, keys: [String], arguments: [any RedisArgument] = []) {
        self.script = script
        rest.append(keys.count)
        for key in keys { rest.append(key) }
        for argument in arguments { argument.append(to: &rest) }
    }

    public mutating func append(_ text: String) { rest.append(text) }
    public mutating func append(_ bytes: [UInt8]) { rest.append(bytes) }
    public mutating func append(_ bytes: UnsafeRawBufferPointer) { rest.append(bytes) }
    public mutating func append(_ number: Int64) { rest.append(number) }
    public mutating func append(_ number: Int) { rest.append(number) }

    var bySHA: RedisCommand { command("EVALSHA", script.sha1) }
    /// EVAL runs the script and makes Redis remember it.
    var bySource: RedisCommand { command("EVAL", script.source) }

    private func command(_ name: String, _ subject: String) -> RedisCommand {
        var command = RedisCommand(name, reserving: rest.body.count + subject.utf8.count + 32)
        command.append(subject)
        command.append(argumentsOf: rest)
        return command
    }
}

/// SHA-1 as the name of a script, which is how Redis uses it; no secret and no proof hangs on it.
enum SHA1 {
    static func hex(_ message: [UInt8]) -> String {
        var padded = message
        padded.append(0x80)
        while padded.count % 64 != 56 { padded.append(0) }
        let bits = UInt64(message.count) * 8
        for shift in stride(from: 56, through: 0, by: -8) { padded.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift))) }

        var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
        var words = [UInt32](repeating: 0, count: 80)
        for start in stride(from: 0, to: padded.count, by: 64) { compress(padded[start..<start + 64], &state, &words) }
        let digits = Array("0123456789abcdef".utf8)
        let hex = state.flatMap { word in
            stride(from: 28, through: 0, by: -4).map { digits[Int(word >> UInt32($0)) & 15] }
        }
        return String(decoding: hex, as: UTF8.self)
    }

    private static func compress(_ block: ArraySlice<UInt8>, _ state: inout [UInt32], _ words: inout [UInt32]) {
        for index in 0..<16 {
            let at = block.startIndex + index * 4
            words[index] = UInt32(block[at]) << 24 | UInt32(block[at + 1]) << 16 | UInt32(block[at + 2]) << 8 | UInt32(block[at + 3])
        }
        for index in 16..<80 { words[index] = rotate(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1) }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for index in 0..<80 {
            let mixed: UInt32
            switch index {
            case 0..<20: mixed = ((b & c) | (~b & d)) &+ 0x5a82_7999
            case 20..<40: mixed = (b ^ c ^ d) &+ 0x6ed9_eba1
            case 40..<60: mixed = ((b & c) | (b & d) | (c & d)) &+ 0x8f1b_bcdc
            default: mixed = (b ^ c ^ d) &+ 0xca62_c1d6
            }
            let next = rotate(a, 5) &+ mixed &+ e &+ words[index]
            (e, d, c, b, a) = (d, c, rotate(b, 30), a, next)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word << count | word >> (32 - count) }
}
