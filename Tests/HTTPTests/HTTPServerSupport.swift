import Formats
import HTTPServer
import Synchronization

/// The targets that reached a handler.
final class SeenTargets: Sendable {
    private let targets = Mutex<[String]>([])
    func note(_ target: String) { targets.withLock { $0.append(target) } }
    var all: [String] { targets.withLock { $0 } }
}

/// A receiver that records what it is told, and asks for more by itself unless told to hold.
final class RecordingReceiver: HTTPBodyReceiver {
    struct Record: Sendable {
        var upload: HTTPUpload?
        var bytes: [UInt8] = []
        var pieces = 0
        var ended = false
        var failure: HTTPUploadFailure?
        var holds: Bool
    }

    private let state: Mutex<Record>
    private let onBegin: @Sendable (HTTPUpload) -> Void

    init(holds: Bool = false, onBegin: @escaping @Sendable (HTTPUpload) -> Void = { _ in }) {
        state = Mutex(Record(holds: holds))
        self.onBegin = onBegin
    }

    var record: Record { state.withLock { $0 } }

    func begin(_ upload: HTTPUpload) {
        state.withLock { $0.upload = upload }
        onBegin(upload)
    }

    func receive(_ piece: [UInt8]) {
        let upload = state.withLock { state in
            state.bytes += piece
            state.pieces += 1
            return state.holds ? nil : state.upload
        }
        upload?.more()
    }

    func end() {
        let (upload, count) = state.withLock { state in
            state.ended = true
            defer { state.upload = nil }
            return (state.upload, state.bytes.count)
        }
        upload?.responder.respond(.text(200, "took \(count)"))
    }

    func failed(_ failure: HTTPUploadFailure) {
        state.withLock { state in
            state.failure = failure
            state.upload = nil
        }
    }

    /// Forgets an upload whose end it is not told, since it has answered: the two would keep each other.
    func letGo() { state.withLock { $0.upload = nil } }

    /// Lets a held receiver go on from now.
    func release() {
        let upload = state.withLock { state in
            state.holds = false
            return state.upload
        }
        upload?.more()
    }
}

/// An async call whose result a client's thread waits for.
final class BlockedTask<Value: Sendable>: Sendable {
    private let result = Mutex<Value?>(nil)

    init(_ body: @escaping @Sendable () async -> Value) {
        Task {
            let value = await body()
            result.withLock { $0 = value }
        }
    }

    var isDone: Bool { result.withLock { $0 != nil } }

    func wait() throws -> Value {
        try waitUntil("the task ends", within: .seconds(20)) { isDone }
        guard let value = result.withLock({ $0 }) else { throw ClientError(what: "the task has no result") }
        return value
    }
}
