import JobQueue
import Testing

@testable import Payments

@Suite("Places at a provider")
struct ProviderGatesTests {
    @Test("An attempt is asked about once at a time, a provider by so many calls, and others are not held up")
    func places() async throws {
        let gates = ProviderGates()
        let (entered, enter) = AsyncStream<Void>.makeStream()
        let (held, release) = AsyncStream<Void>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<ProviderGates.perProviderMax {
                group.addTask {
                    try await gates.pass(provider: "slow", attempt: "a\(number)") {
                        enter.yield()
                        for await _ in held {}
                    }
                }
            }
            var inside = entered.makeAsyncIterator()
            for _ in 0..<ProviderGates.perProviderMax { await inside.next() }
            let wait = JobFailure.snooze(.seconds(1), "slow is being asked enough, or about this attempt already")
            await #expect(throws: wait) { try await gates.pass(provider: "slow", attempt: "b") {} }
            let same = JobFailure.snooze(.seconds(1), "quick is being asked enough, or about this attempt already")
            await #expect(throws: same) { try await gates.pass(provider: "quick", attempt: "a0") {} }
            #expect(try await gates.pass(provider: "quick", attempt: "c") { 3 } == 3)
            release.finish()
            try await group.waitForAll()
        }
        #expect(try await gates.pass(provider: "slow", attempt: "a0") { 4 } == 4)
    }
}
