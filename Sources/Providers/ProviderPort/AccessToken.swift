import Synchronization

/// What a provider gives for the keys, and takes in their place for a while.
public struct AccessToken: Sendable, Equatable {
    /// Longer lives are not believed.
    static let lifeMaxMs: Int64 = 90 * 86_400_000

    public let value: String
    /// Until then it is used; a little earlier than the provider's own end.
    public let goodUntilMs: Int64

    /// - Parameter lifeMs: as the provider says, from `nowMs` on.
    public init(_ value: String, lifeMs: Int64, nowMs: Int64) {
        self.value = value
        let life = min(max(lifeMs, 0), Self.lifeMaxMs)
        goodUntilMs = nowMs + life - min(life / 10, 60_000)
    }
}

/// An access token that an adapter's calls share: got when there is none or it runs out, by one call at a time.
public final class AccessTokenCache: Sendable {
    private typealias Fetch = Task<Result<AccessToken, ProviderError>, Never>
    private struct State {
        var token: AccessToken?
        var fetch: Fetch?
    }
    private let state = Mutex(State())
    private let nowMs: @Sendable () -> Int64

    public init(nowMs: @escaping @Sendable () -> Int64) { self.nowMs = nowMs }

    /// The token that there is, or the one that `fetch` gets. Calls that come while it is being got wait for that one.
    public func token(_ fetch: @escaping @Sendable () async throws(ProviderError) -> AccessToken) async throws(ProviderError) -> AccessToken {
        let (ready, running) = state.withLock { state -> (AccessToken?, Fetch?) in
            if let token = state.token, token.goodUntilMs > nowMs() { return (token, nil) }
            if let running = state.fetch { return (nil, running) }
            // Unstructured because it is everybody's: the end of the call that began it must not end it for those that wait.
            let begun = Fetch { [self] in
                let result: Result<AccessToken, ProviderError>
                do throws(ProviderError) { result = .success(try await fetch()) } catch { result = .failure(error) }
                keep(result)
                return result
            }
            state.fetch = begun
            return (nil, begun)
        }
        if let ready { return ready }
        guard let running else { throw ProviderError(.unavailable, "there is no access token") }
        return try await running.value.get()
    }

    /// Forgets a token that the provider no longer takes. A newer one, got by another call in the meantime, stays.
    public func drop(_ token: AccessToken) {
        state.withLock { if $0.token == token { $0.token = nil } }
    }

    private func keep(_ result: Result<AccessToken, ProviderError>) {
        state.withLock { state in
            state.fetch = nil
            if case .success(let token) = result { state.token = token }
        }
    }
}
