import Database
import Outbox
import Payments
import ProviderCatalog
import ProviderPort
import Settings
import TestSupport
import Testing

/// What the posts of a source are taken for: each provider a column, each policy a row.
@Suite("Trust policies")
struct TrustPolicyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let column: ProviderColumn
        let policy: TrustPolicy
        var testDescription: String { "\(column.name), \(policy.rawValue)" }
    }
    static let cases = ProviderColumn.posting.flatMap { column in TrustPolicy.allCases.map { Case(column: column, policy: $0) } }

    private func questions(_ stage: ProvidersStage, _ payment: String) async throws -> Int {
        try await stage.database.read { try JobRecord.of(payment: payment, in: $0).count { $0.kind == VerifyPayment.kind } }
    }

    @Test("a wrong proof is refused, a missing one is refused or asked about, a good one pays", arguments: cases)
    func table(_ row: Case) async throws {
        let (column, policy) = (row.column, row.policy)
        try await ProvidersStage.with(policy: policy) { stage in
            let (payment, post) = try await stage.told(column)

            #expect(try await stage.again(column.forged(post)) == 401)
            #expect(try await questions(stage, payment) == 0)
            #expect(try await stage.again(column.bare(post)) == (policy.takesUnproven ? 200 : 401))
            #expect(try await questions(stage, payment) == (policy.takesUnproven ? 1 : 0))
            // What iCount says names no order: only the address made for the attempt ties it to one.
            let isPaidByAsking = policy.takesUnproven && column.name != "icount"
            if isPaidByAsking {
                try await stage.becomes("paid", payment)
            } else {
                #expect(["pending", "processing"].contains(try await stage.standing(of: payment).state))
            }
            let before = try await questions(stage, payment)
            #expect(try await stage.again(post) == 200)
            try await stage.becomes("paid", payment)
            try await stage.settles()
            let covers = try stage.capabilities(of: column).proofCoversMoney
            let isBelieved = policy.believesProofs && covers
            #expect(try await questions(stage, payment) == before + (isBelieved ? 0 : 1))
            let standing = try await stage.standing(of: payment)
            #expect(standing.work == ["invoice.create", "notification.send"] && standing.ledger.count == 1 && standing.tasks.isEmpty)
        }
    }

    // MARK: As settings

    private static let environment = [
        "PROVIDER_MODE_STANDARD_WEBHOOKS": "sandbox", "STANDARD_WEBHOOKS_SECRET": CommandStage.webhookSecret,
        "PROVIDER_MODE_KKIAPAY": "sandbox", "KKIAPAY_PUBLIC_KEY": "pk", "KKIAPAY_PRIVATE_KEY": "sk", "KKIAPAY_SECRET": "s",
        "KKIAPAY_WEBHOOK_SECRET": "w", "PROVIDER_MODE_FEEXPAY": "sandbox", "FEEXPAY_API_KEY": "fp_1", "FEEXPAY_SHOP_ID": "shop",
        "PROVIDER_MODE_CINETPAY": "sandbox", "CINETPAY_API_KEY": "key", "CINETPAY_SITE_ID": "900417", "CINETPAY_WEBHOOK_SECRET": "c",
        "PROVIDER_MODE_WAVE": "sandbox", "WAVE_API_KEY": "k", "WAVE_WEBHOOK_SECRET": "w", "PROVIDER_MODE_ICOUNT": "sandbox",
        "ICOUNT_API_TOKEN": "t", "ICOUNT_PAYPAGE_ID": "30512", "ICOUNT_WEBHOOK_SECRET": "i", "PROVIDER_MODE_ORANGE_MONEY": "sandbox",
        "OM_CLIENT_ID": "i", "OM_CLIENT_SECRET": "s", "OM_MERCHANT_KEY": "m", "OM_WEBHOOK_SECRET": "o", "PROVIDER_MODE_PAYMENT_BACKEND": "sandbox",
        "PAYMENT_API_KEY": "p", "PAYMENT_WEBHOOK_SECRET": "b",
    ]

    private func policies(_ more: [String: String]) throws -> [String: TrustPolicy] {
        let sources = try ProviderCatalog.sources(try Settings(environment: Self.environment.merging(more) { $1 }))
        return Dictionary(uniqueKeysWithValues: sources.map { ($0.adapter.name, $0.policy) })
    }

    @Test("each adapter declares its own, and a setting takes its place")
    func declared() throws {
        #expect(
            try policies([:]) == [
                "standard-webhooks": .trust, "kkiapay": .trust, "feexpay": .fetch, "cinetpay": .fetch, "wave": .trust, "icount": .fetch,
                "orange-money": .fetch, "payment-backend": .trust,
            ])
        #expect(try policies(["FEEXPAY_WEBHOOK_SECRET": "f"])["feexpay"] == .trust)
        #expect(try policies(["TRUST_POLICY_KKIAPAY": "fetch", "TRUST_POLICY_WAVE": "Fetch-If-Unsigned"])["kkiapay"] == .fetch)
        #expect(try policies(["TRUST_POLICY_WAVE": "Fetch-If-Unsigned"])["wave"] == .fetchIfUnsigned)
        #expect(SourceTrust.allCases.map(\.rawValue) == TrustPolicy.allCases.map(\.rawValue))
    }

    @Test(
        "a policy that a source cannot have, or nobody knows, is refused with the reason",
        arguments: [
            (["TRUST_POLICY_STANDARD_WEBHOOKS": "fetch"], "it cannot be asked"), (["TRUST_POLICY_FEEXPAY": "trust"], "no secret is set"),
            (["TRUST_POLICY_WAVE": "believe"], "trust, fetch or fetch-if-unsigned"), (["TRUST_POLICY_PAYPAL": "trust"], "no provider has this name"),
            (["TRUST_POLICY_MANUAL": "trust"], "no provider has this name"),
        ])
    func impossible(_ more: [String: String], _ reason: String) {
        let error = #expect(throws: (any Error).self) { _ = try policies(more) }
        #expect("\(error.map { "\($0)" } ?? "")".contains(reason))
    }
}
