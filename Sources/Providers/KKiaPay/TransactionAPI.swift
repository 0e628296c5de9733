import Formats
import ProviderPort

/// The two calls about a transaction: status and revert.
struct TransactionAPI: Sendable {
    private let base: String
    private let keys: HTTPHeaders

    init(publicKey: String, privateKey: String, secret: String, base: String) {
        self.base = base
        // Some official kits send the first alone; all three are always taken.
        keys = ["x-api-key": publicKey, "x-private-key": privateKey, "x-secret-key": secret]
    }

    /// KKiaPay's numbers are short and plain; what somebody handed in and is neither is not asked about.
    static func isPlausible(_ transaction: String) -> Bool {
        (1...64).contains(transaction.utf8.count)
            && transaction.utf8.allSatisfy { byte in
                ASCII.isDigit(byte) || (0x61...0x7a).contains(ASCII.lowercase(byte)) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            }
    }

    func status(
        of transaction: String, attempt: String, over transport: any ProviderTransport
    ) async throws(ProviderError) -> TransactionAnswer {
        guard Self.isPlausible(transaction) else { throw ProviderError(.notFound, "this is no number of a transaction") }
        let answer = try await call("status", transaction, over: transport)
        let json = try? answer.json()
        guard answer.status == 200 || answer.status == 201, let json else { throw Self.fault(answer, json, asking: "status") }
        return try TransactionAnswer(json, transaction: transaction, attempt: attempt)
    }

    /// What `revert` answered.
    enum Reverted: Sendable, Equatable {
        case done
        /// Refused, with KKiaPay's code: nothing was given back by this call.
        case refused(code: String)
    }

    /// - Throws: ``ProviderError`` `unavailable` where nobody can know whether it was carried out.
    func revert(_ transaction: String, over transport: any ProviderTransport) async throws(ProviderError) -> Reverted {
        let answer = try await call("revert", transaction, over: transport)
        let json = try? answer.json()
        // `code`, not `status`; a refusal may come with either and with any 4xx.
        if let code = json?["code"]?.string ?? json?["status"]?.string, answer.status < 500, ![401, 403, 429].contains(answer.status) {
            if code == "SUCCESS" { return .done }
            if TransactionStatus.meaning(of: code) != .misconfigured { return .refused(code: String(code.prefix(60))) }
        }
        throw Self.fault(answer, json, asking: "revert")
    }

    private func call(_ name: String, _ transaction: String, over transport: any ProviderTransport) async throws(ProviderError) -> ProviderAnswer {
        try await transport.send(
            .postJSON(
                "\(base)/api/v1/transactions/\(name)", ["transactionId": .string(transaction)], headers: keys, mustArriveOnce: name == "revert"))
    }

    /// What is not a plain answer is unknown, never failed.
    private static func fault(_ answer: ProviderAnswer, _ json: JSON?, asking call: String) -> ProviderError {
        let code = json.flatMap { $0["status"]?.string ?? $0["status"]?.numberText ?? $0["code"]?.string }.map { String($0.prefix(60)) }
        let meaning = code.map { TransactionStatus.meaning(of: $0) }
        let kind: ProviderError.Kind =
            switch answer.status {
            case 401, 403: .misconfigured
            case 404: .notFound
            case 429: .throttled
            case 408, 425: .unavailable
            case 400..<500 where meaning == .notFound: .notFound
            case 400..<500 where meaning == .misconfigured: .misconfigured
            case 400..<500: .rejected
            default: meaning == .misconfigured ? .misconfigured : .unavailable
            }
        return ProviderError(
            kind, "KKiaPay answered \(answer.status) to \(call)" + (json == nil ? ", and it is not JSON" : ""), code: code ?? String(answer.status),
            retryAfterSeconds: answer.retryAfterSeconds())
    }
}
