import HTTPServer
import Synchronization

/// A request's body as its handler takes it: one piece after the other, the next one read from the client when it is asked for.
final class UploadBody: HTTPBodyReceiver {
    private struct State {
        var upload: HTTPUpload?
        var piece: [UInt8]?
        /// The client waits to be read on.
        var owesMore = false
        var ending: Result<Void, UploadBroken>?
        var waiting: CheckedContinuation<Result<[UInt8]?, UploadBroken>, Never>?
    }

    private let state = Mutex(State())
    private let begun: @Sendable (UploadBody, HTTPResponder) -> Void

    /// - Parameter begun: called once, on the loop's thread, when the head was read: hands the body to its handler, which answers the responder.
    init(begun: @escaping @Sendable (UploadBody, HTTPResponder) -> Void) { self.begun = begun }

    // MARK: For the handler

    /// The next bytes; nil at the end.
    func next() async throws(UploadBroken) -> [UInt8]? {
        let result: Result<[UInt8]?, UploadBroken> = await withCheckedContinuation { continuation in
            let (answer, upload) = state.withLock { state -> (Result<[UInt8]?, UploadBroken>?, HTTPUpload?) in
                if let piece = state.piece {
                    state.piece = nil
                    state.owesMore = true
                    return (.success(piece), nil)
                }
                if let ending = state.ending { return (ending.map { nil }, nil) }
                state.waiting = continuation
                guard state.owesMore else { return (nil, nil) }
                state.owesMore = false
                return (nil, state.upload)
            }
            upload?.more()
            if let answer { continuation.resume(returning: answer) }
        }
        return try result.get()
    }

    /// The answer is given: whoever still waits, and the client's connection, are let go of.
    func letGo() {
        let waiting = state.withLock { state in
            state.upload = nil
            state.ending = state.ending ?? .failure(UploadBroken())
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: .failure(UploadBroken()))
    }

    // MARK: From the server

    func begin(_ upload: HTTPUpload) {
        state.withLock { $0.upload = upload }
        begun(self, upload.responder)
    }

    func receive(_ piece: [UInt8]) {
        let waiting = state.withLock { state -> CheckedContinuation<Result<[UInt8]?, UploadBroken>, Never>? in
            guard let waiting = state.waiting else {
                state.piece = piece
                return nil
            }
            state.waiting = nil
            state.owesMore = true
            return waiting
        }
        waiting?.resume(returning: .success(piece))
    }

    func end() { settle(.success(())) }

    func failed(_ failure: HTTPUploadFailure) { settle(.failure(UploadBroken())) }

    private func settle(_ ending: Result<Void, UploadBroken>) {
        let waiting = state.withLock { state in
            state.upload = nil
            state.ending = ending
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: ending.map { nil })
    }
}

/// The body will not be complete: the client is gone, or was answered by the server.
struct UploadBroken: Error {}
