import Formats
import RedisClient
import TestSupport
import Testing

@Suite("The API's limit of calls", .timeLimit(.minutes(4)))
struct APILimitTests {
    private static let limit = 20

    private func ask(_ port: Int, _ shop: Shop) async throws -> HTTPLine.Answer {
        try await HTTPLine.once(port: port, "GET", "/api/v1/payments/providers/", headers: [("authorization", "Bearer \(shop.key)")])
    }

    /// What Redis knows of all calls.
    private func counted(_ stage: Stage) async throws -> Int64 {
        var sum: Int64 = 0
        for key in try await stage.redis.call("KEYS", "quittance:{calls}:call:*").array ?? [] {
            sum += try await stage.redis.call("GET", key.string ?? "").int ?? 0
        }
        return sum
    }

    /// Asks one of the processes as often as it lets the caller.
    /// - Returns: how often it did, and what it said to the call that was too much.
    private func exhaust(_ port: Int, _ shop: Shop) async throws -> (taken: Int, last: HTTPLine.Answer) {
        for taken in 0... {
            let answer = try await ask(port, shop)
            if answer.status == 429 || taken == 3 * Self.limit { return (taken, answer) }
            #expect(answer.status == 200, "\(answer.text)")
        }
        throw FixtureError("the numbers have an end")
    }

    @Test("holds over all web processes together; without Redis each counts for itself, and the API goes on")
    func shared() async throws {
        let configuration = Instance.Configuration(settings: ["API_CALLS_PER_MINUTE": "\(Self.limit)"])
        try await Stage.run(["web"], configuration) { stage in
            let instance = stage.instance
            let other = try freePort()
            try await instance.start("web", slot: 1, with: ["WEB_ADDRESS": "127.0.0.1:\(other)"])

            let shop = try await Shop(stage)
            let first = try await exhaust(instance.webPort, shop)
            // Where a minute ends in between, the part of the last one that is past by then is free again.
            #expect((Self.limit...Self.limit + 5).contains(first.taken), "\(first.taken)")
            #expect(first.last.headers["retry-after"].flatMap { Int($0) } ?? 0 > 0)
            try await eventually("the first process has told what it counted") { try await counted(stage) >= first.taken }
            // The other one learns of it with the answer to the first count that it tells.
            _ = try await ask(other, shop)
            try await eventually("the other one has told, too") { try await counted(stage) > first.taken }
            let second = try await exhaust(other, shop)
            #expect(second.taken < Self.limit / 2, "\(second.taken)")

            try await instance.redis.kill9()
            let alone = try await Shop(stage)
            for port in [instance.webPort, other] {
                let taken = try await exhaust(port, alone).taken
                #expect((Self.limit...Self.limit + 5).contains(taken), "\(taken)")
            }
        }
    }
}
