import Formats
import ProviderPort
import Synchronization
import Testing

@Suite("Provider port: access tokens and a provider's words")
struct AccessTokenTests {
    /// A cache, its clock, and fetches that are counted.
    private final class Desk: Sendable {
        let clock = TurnedClock(1_000_000)
        let fetches = Atomic<Int>(0)
        let cache: AccessTokenCache

        init() { cache = AccessTokenCache(nowMs: { [clock] in clock.nowMs }) }

        func token(life: Int64 = 3_600_000) async throws(ProviderError) -> AccessToken {
            try await cache.token { [self] () async throws(ProviderError) in
                let number = fetches.add(1, ordering: .relaxed).newValue
                await Task.yield()
                return AccessToken("token \(number)", lifeMs: life, nowMs: clock.nowMs)
            }
        }
    }

    @Test("many calls at once get one token together")
    func together() async throws {
        let desk = Desk()
        let tokens = try await withThrowingTaskGroup(of: AccessToken.self) { group in
            for _ in 0..<50 { group.addTask { try await desk.token() } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1.value) }
        }
        #expect(tokens == ["token 1"])
        #expect(desk.fetches.load(ordering: .relaxed) == 1)
    }

    @Test("a token is used until shortly before its end, and one without a life once")
    func life() async throws {
        let desk = Desk()
        let first = try await desk.token()
        #expect(first.goodUntilMs == 1_000_000 + 3_600_000 - 60_000)
        desk.clock.turn(to: first.goodUntilMs - 1)
        #expect(try await desk.token() == first)
        desk.clock.turn(to: first.goodUntilMs)
        #expect(try await desk.token(life: 0).value == "token 2")
        #expect(try await desk.token(life: .max).value == "token 3")
        #expect(try await desk.token().value == "token 3")
        #expect(AccessToken("t", lifeMs: .max, nowMs: 0).goodUntilMs <= 90 * 86_400_000)
        #expect(AccessToken("t", lifeMs: -1, nowMs: 5).goodUntilMs == 5)
    }

    @Test("a token that is refused is got anew; a newer one stays when an older is refused late")
    func dropping() async throws {
        let desk = Desk()
        let first = try await desk.token()
        desk.cache.drop(first)
        let second = try await desk.token()
        #expect(second.value == "token 2")
        desk.cache.drop(first)
        #expect(try await desk.token() == second)
    }

    @Test("a fetch that fails is told to who waits, and tried again by the next")
    func failure() async throws {
        let cache = AccessTokenCache(nowMs: { 0 })
        let error = await providerError { try await cache.token { () async throws(ProviderError) in throw ProviderError(.misconfigured, "keys") } }
        #expect(error?.kind == .misconfigured)
        #expect(try await cache.token { () async throws(ProviderError) in AccessToken("t", lifeMs: 1000, nowMs: 0) }.value == "t")
    }

    @Test(
        "a provider's words are cut, and lose numbers that could be a phone's or a card's",
        arguments: [
            ("bad phone +2250707123456 of client", "bad phone +…56 of client"), ("code 123456", "code 123456"), ("4111111111111111", "…11"),
            ("a\nb", "a b"), (String(repeating: "x", count: 500), String(repeating: "x", count: 200)), ("", ""),
        ])
    func words(_ text: String, _ expected: String) {
        #expect(ProviderWords.safe(text) == expected)
    }
}

/// A clock that is turned by hand.
final class TurnedClock: Sendable {
    private let now: Atomic<Int64>
    init(_ nowMs: Int64) { now = Atomic(nowMs) }
    var nowMs: Int64 { now.load(ordering: .relaxed) }
    func turn(to ms: Int64) { now.store(ms, ordering: .relaxed) }
    func turn(by ms: Int64) { now.add(ms, ordering: .relaxed) }
}
