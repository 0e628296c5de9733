/// Takes a request's body piece by piece, for bodies too large to be held in memory.
///
/// All calls come on the loop's thread, in this order: `begin`, then `receive` for each piece, then either `end` or
/// `failed`. After each piece the server reads nothing more until ``HTTPUpload/more()`` was called.
public protocol HTTPBodyReceiver: AnyObject, Sendable {
    /// The head has been read. Keep `upload`: it gives the answer and asks for more. An answer before `end` refuses the
    /// rest of the body and closes the connection; no call follows it.
    func begin(_ upload: HTTPUpload)
    func receive(_ piece: [UInt8])
    /// The body is complete; the answer is due, now or later.
    func end()
    /// The body will not be complete. The client has been answered where that is possible.
    func failed(_ failure: HTTPUploadFailure)
}

/// Why a body handed on in pieces ended early.
public enum HTTPUploadFailure: Sendable, Equatable {
    case clientLeft
    case tooLarge
    case deadlinePassed
    case malformed
}

/// A receiver's way back to its client.
public struct HTTPUpload: Sendable {
    let exchange: Exchange

    public var responder: HTTPResponder { HTTPResponder(exchange: exchange) }

    /// The last piece has been dealt with: read on. From any thread.
    public func more() { exchange.more() }
}
