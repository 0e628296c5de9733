import Synchronization

/// A transport that remembers what came back, for who keeps it.
public final class ListeningTransport: ProviderTransport {
    /// The latest are remembered; a question costs a few calls.
    public static let most = 8

    private let transport: any ProviderTransport
    private let heard = Mutex<[ProviderAnswer]>([])

    public init(_ transport: any ProviderTransport) { self.transport = transport }

    /// What came back so far, oldest first.
    public var answers: [ProviderAnswer] { heard.withLock { $0 } }

    public func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        let answer = try await transport.send(call)
        heard.withLock { heard in
            heard.append(answer)
            if heard.count > Self.most { heard.removeFirst() }
        }
        return answer
    }
}
