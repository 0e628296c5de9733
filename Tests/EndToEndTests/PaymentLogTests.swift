import Database
import Formats
import TestSupport
import Testing

/// What an operator who searches the logs has to go by: fields, of which no log needs a label but the program's name.
@Suite("The logs of a payment", .timeLimit(.minutes(4)))
struct PaymentLogTests {
    private static let programs = [
        "ingest", "web", "sandbox", "worker-payments", "worker-plans", "worker-invoices", "worker-notifications",
    ]
    private static let team = "baobab"
    private static let customer: JSON = [
        "name": "Aïcha Koné-Diabaté", "email": "aicha.kone@example.org", "phone": "+2250707123456", "language": "fr",
    ]

    /// A line of a program's log.
    private struct Line {
        let program: String
        let json: JSON

        func text(_ name: String) -> String? { json[name]?.string }
    }

    private static func lines(of programs: [String], _ stage: Stage) throws -> [Line] {
        try programs.flatMap { program in
            try stage.instance.process(program).lines.compactMap { line in
                guard line.text.hasPrefix("{") else { return nil }
                return Line(program: program, json: try JSON(parsing: Array(line.text.utf8)))
            }
        }
    }

    @Test("a plan's payment is found in every program's log by its id, and its team by the team's")
    func found() async throws {
        try await Stage.run(Self.programs, Instance.Configuration(hasMail: true)) { stage in
            let shop = try await Shop(stage)
            let initiated = try await shop.call(
                "POST", "/api/payments/\(Self.team)/initiate",
                ["payment_method": "mobile_money", "metadata": ["plan_upgrade": true, "new_plan": "pro"], "customer": Self.customer])
            let payment = try #require(initiated["id"]?.string)
            try await stage.sandbox("POST", "/sandbox/pay", ["reference": .string(payment)])
            try await eventually(within: .seconds(30), "the plan is active") {
                try await stage.texts("SELECT plan || ' ' || status FROM plans_subscriptions WHERE team = $1", [.text(Self.team)])
                    == ["pay_as_you_go active"]
            }
            try await stage.awaitJobs()

            let wanted = [
                "web": "attempt started", "worker-payments": "payment moved", "worker-plans": "plan activated", "worker-invoices": "invoice issued",
                "worker-notifications": "mail sent",
            ]
            for (program, message) in wanted {
                // What is written last may still be on its way.
                try await eventually("\(program) says: \(message)") {
                    try Self.lines(of: [program], stage).contains { $0.text("payment") == payment && $0.text("msg") == message }
                }
            }
            let all = try Self.lines(of: Self.programs, stage)
            let ofPayment = all.filter { $0.text("payment") == payment }
            #expect(ofPayment.contains { $0.text("msg") == "payment moved" && $0.text("to") == "paid" && $0.text("provider") == "payment-backend" })
            // By the team: when it was begun, each move, and what it came to; each line leads on to the payment.
            let ofTeam = all.filter { $0.text("team") == Self.team }
            for program in ["web", "worker-payments", "worker-plans"] {
                #expect(ofTeam.contains { $0.program == program }, "\(program): \(ofTeam.map(\.json.text))")
            }
            #expect(ofTeam.allSatisfy { $0.text("payment") == payment })
            // Lines of jobs lead on to the job.
            #expect(
                ofPayment.filter { $0.program.hasPrefix("worker-") && $0.json["kind"] != nil }.allSatisfy {
                    $0.text("job")?.hasPrefix("job_") == true
                })
            for line in all { #expect(line.text("program") == line.program && line.text("time") != nil && line.text("level") != nil) }
            requireNobody(stage)
        }
    }

    /// No line names the person who pays.
    private func requireNobody(_ stage: Stage) {
        let said = stage.instance.transcript(linesMax: .max)
        for text in ["aicha.kone@example.org", "2250707123456", "Koné-Diabaté"] { #expect(!said.contains(text), "\(text) is in a log") }
    }
}
