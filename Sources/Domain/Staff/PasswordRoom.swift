import Cryptography
import EventLoop
import Synchronization

/// Where passwords are hashed: on threads of its own, few at a time, since each takes its share of memory and of the processor.
public final class PasswordRoom: Sendable {
    static let threads = 2
    /// More do not wait: whoever floods the sign-in gets no more than this.
    static let waitingMax = 32

    public let cost: PasswordHash.Cost
    private let pool = BlockingPool(name: "passwords", threads: PasswordRoom.threads)
    private let waiting = Mutex(0)
    /// What a name that nobody has is compared with, so that it takes as long as one that somebody has.
    private let decoy: PasswordHash

    public init(cost: PasswordHash.Cost = .standard) {
        self.cost = cost
        decoy = PasswordHash(
            cost: cost, salt: SecureRandom.bytes(PasswordHash.saltLength), bytes: SecureRandom.bytes(PasswordHash.length))
    }

    /// Ends the threads; blocks until they have.
    public func close() { pool.close() }

    /// - Throws: ``StaffError/busy``.
    public func hash(_ password: String) async throws -> PasswordHash {
        try await run { [cost] in PasswordHash(of: password, cost: cost) }
    }

    /// - Parameter hash: nil where there is no such user: it takes as long and is never true.
    /// - Throws: ``StaffError/busy``.
    func matches(_ password: String, _ hash: PasswordHash?) async throws -> Bool {
        let compared = hash ?? decoy
        let isSame = try await run { compared.matches(password) }
        return isSame && hash != nil
    }

    private func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async throws -> Value {
        let isTaken = waiting.withLock { waiting in
            guard waiting < Self.waitingMax else { return false }
            waiting += 1
            return true
        }
        guard isTaken else { throw StaffError.busy }
        defer { waiting.withLock { $0 -= 1 } }
        return try await pool.run(body)
    }
}
