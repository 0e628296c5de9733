import CHiredis

/// hiredis' incremental protocol reader, whose replies are built as Swift values while they are read, without objects of hiredis between.
///
/// Confined to its connection's loop.
final class ReplyReader {
    enum Outcome {
        case reply(RedisValue)
        case incomplete
        case malformed(String)
    }

    /// A reply larger than this is refused as malformed: nothing of ours asks for it.
    static let replyBytesMax = 256 << 20

    private let reader: UnsafeMutablePointer<redisReader>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let builder = ReplyBuilder()

    init() {
        functions = .allocate(capacity: 1)
        functions.initialize(
            to: redisReplyObjectFunctions(
                createString: createString, createArray: createArray, createInteger: createInteger, createNil: createNil, freeObject: freeObject))
        guard let made = redisReaderCreateWithFunctions(functions) else { preconditionFailure("out of memory for a Redis reader") }
        reader = made
        reader.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
        // The buffer is kept between reads up to this size; hiredis' default would give it back and ask for it anew at every read.
        reader.pointee.maxbuf = 256 << 10
    }

    deinit {
        redisReaderFree(reader)
        functions.deallocate()
    }

    /// Takes over bytes that have come; ``next()`` tells what they hold.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return }
        // A failure is kept in the reader and comes out of `next`.
        _ = redisReaderFeed(reader, base.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    func next() -> Outcome {
        var done: UnsafeMutableRawPointer?
        guard redisReaderGetReply(reader, &done) == REDIS_OK else {
            let text = withUnsafeBytes(of: &reader.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            return .malformed(text)
        }
        if done != nil, let reply = builder.take() { return .reply(reply) }
        if reader.pointee.len - reader.pointee.pos > Self.replyBytesMax { return .malformed("a reply of more than \(Self.replyBytesMax) bytes") }
        return .incomplete
    }
}

/// Puts the parts of a reply together in the order in which the reader meets them.
private final class ReplyBuilder {
    private struct OpenArray {
        var items: [RedisValue]
        var missing: Int
    }
    private var open: [OpenArray] = []
    private var finished: RedisValue?

    func begin(array count: Int) {
        guard count > 0 else { return add(.array([])) }
        var items: [RedisValue] = []
        // The number is the server's word; memory is taken as the elements really come.
        items.reserveCapacity(min(count, 1024))
        open.append(OpenArray(items: items, missing: count))
    }

    func add(_ value: RedisValue) {
        var value = value
        while let last = open.indices.last {
            open[last].items.append(value)
            open[last].missing -= 1
            if open[last].missing > 0 { return }
            value = .array(open.removeLast().items)
        }
        finished = value
    }

    func take() -> RedisValue? {
        defer { finished = nil }
        return finished
    }
}

// What the reader calls. It wants an object for each part; ours are in the builder, so any pointer but NULL will do.

private let placeholder = UInt(1)

private func object() -> UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: placeholder) }

private func withBuilder(_ task: UnsafePointer<redisReadTask>?, _ body: (ReplyBuilder) -> Void) -> UnsafeMutableRawPointer? {
    guard let raw = task?.pointee.privdata else { return nil }
    body(Unmanaged<ReplyBuilder>.fromOpaque(raw).takeUnretainedValue())
    return object()
}

private func createString(_ task: UnsafePointer<redisReadTask>?, _ text: UnsafeMutablePointer<CChar>?, _ length: Int) -> UnsafeMutableRawPointer? {
    withBuilder(task) { builder in
        let bytes = UnsafeRawBufferPointer(start: text, count: length)
        switch task?.pointee.type {
        case REDIS_REPLY_STATUS: builder.add(.simple(String(decoding: bytes, as: UTF8.self)))
        case REDIS_REPLY_ERROR: builder.add(.error(String(decoding: bytes, as: UTF8.self)))
        default: builder.add(.bulk([UInt8](bytes)))
        }
    }
}

private func createArray(_ task: UnsafePointer<redisReadTask>?, _ count: Int32) -> UnsafeMutableRawPointer? {
    withBuilder(task) { $0.begin(array: Int(count)) }
}

private func createInteger(_ task: UnsafePointer<redisReadTask>?, _ number: Int64) -> UnsafeMutableRawPointer? {
    withBuilder(task) { $0.add(.integer(number)) }
}

private func createNil(_ task: UnsafePointer<redisReadTask>?) -> UnsafeMutableRawPointer? {
    withBuilder(task) { $0.add(.null) }
}

private func freeObject(_ object: UnsafeMutableRawPointer?) {}
