import Database
import Formats
import Money
import Payments
import TestSupport
import Testing

@Suite("The web reads bodies strictly and says what is wrong")
struct WebBodyTests {
    static let order: JSON = [
        "order_id": "A-1", "description": "Two chairs", "amount": "15000", "currency": "XOF",
        "customer": ["name": "Awa Diop", "email": "awa@example.org", "phone": "+221701234567", "language": "en"], "metadata": ["cart": 7],
    ]

    static func order(_ changes: (String, JSON?)...) -> JSON {
        var members = order.object ?? JSONObject()
        for (name, value) in changes { members[name] = value }
        return .object(members)
    }

    @Test(
        "what is no JSON object is refused",
        arguments: [
            ("{", "application/json", 400), ("[]", "application/json", 400), ("", "application/json", 400),
            (#"{"a":1,"a":2}"#, "application/json", 400), ("{}", "text/plain", 415), ("{}", "", 415),
            ("a=1", "application/x-www-form-urlencoded", 415),
        ])
    func malformed(body: String, type: String, status: Int) async throws {
        try await WebStage.with { stage in
            var headers: HTTPHeaders = ["authorization": "Bearer \(stage.key)", "idempotency-key": "k"]
            if !type.isEmpty { headers["content-type"] = type }
            for path in ["/api/v1/payments/", "/api/v1/payments/cinetpay/initiate/", "/api/payments/team/initiate"] {
                let answer = try await stage.send("POST", path, headers: headers, body: Array(body.utf8))
                #expect(answer.status == status, "\(path): \(answer.text)")
                #expect(answer.headers["content-type"] == "application/problem+json")
            }
        }
    }

    @Test("every field of an inquiry that breaks a rule is named, at once")
    func inquiryFaults() async throws {
        try await WebStage.with { stage in
            let answer = try await stage.post(
                "/api/v1/kit/inquiries/",
                ["organization_name": " ", "email": "nobody", "phone": "0707", "language": "de", "documents_count": 101, "sector": "x\u{7}"])
            #expect(answer.status == 422)
            let fields = answer.json["errors"]?.array?.compactMap { $0["field"]?.string } ?? []
            #expect(Set(fields) == ["organization_name", "contact_name", "email", "phone", "language", "documents_count", "sector"])
            #expect(answer.json["errors"]?.array?.allSatisfy { $0["rule"]?.string?.isEmpty == false } == true)
            let nested = try await stage.post("/api/v1/kit/inquiries/", ["organization_name": ["a"]])
            #expect(nested.status == 422)
            #expect(nested.json["errors"]?[0]?["field"]?.string == "organization_name")
        }
    }

    @Test("the inquiry may come as a form; a price in it changes nothing")
    func inquiryForm() async throws {
        try await WebStage.with { stage in
            let fields = [("organization_name", "Sève"), ("contact_name", "Aïcha"), ("email", "a@example.org"), ("amount", "1"), ("price", "5")]
            let answer = try await stage.form("/api/v1/kit/inquiries/", fields)
            #expect(answer.status == 201)
            #expect(answer.string("amount") == "12500")
            let payment = try #require(answer.string("payment"))
            #expect(try await stage.database.read { try PaymentStore.require(payment, in: $0).amount.minorUnits } == 12_500)
        }
    }

    @Test(
        "an order's payment names the field that is wrong",
        arguments: [
            (order(("order_id", nil)), "order_id"), (order(("amount", "12,5")), "amount"), (order(("amount", "-5")), "amount"),
            (order(("amount", "0")), "amount"), (order(("amount", "10.5")), "amount"), (order(("amount", nil)), "amount"),
            (order(("amount", "99999999999999999999")), "amount"), (order(("currency", "BTC")), "currency"), (order(("currency", nil)), "currency"),
            (order(("description", nil)), "description"), (order(("customer", nil)), "customer"),
            (order(("customer", ["email": "a@example.org"])), "customer.name"),
            (order(("customer", ["name": "A", "email": "x"])), "customer.email"),
            (order(("customer", ["name": "A", "phone": "12"])), "customer.phone"),
            (order(("customer", ["name": "A", "language": "de"])), "customer.language"), (order(("metadata", ["a": ["b"]])), "metadata.a"),
            (order(("purpose", "kit")), "purpose"), (order(("provider", "cinetpay")), "provider"), (order(("provider", "nobody")), "provider"),
        ])
    func orderFaults(body: JSON, field: String) async throws {
        try await WebStage.with { stage in
            let answer = try await stage.post("/api/v1/payments/", body)
            #expect(answer.status == 422, "\(answer.text)")
            #expect(answer.json["errors"]?.array?.map { $0["field"]?.string } == [field], "\(answer.text)")
            #expect(try await stage.database.read { try PaymentStore.list(limit: 1, in: $0).isEmpty })
        }
    }

    @Test("an order's payment is what was asked for")
    func orderCreated() async throws {
        try await WebStage.with { stage in
            let answer = try await stage.post("/api/v1/payments/", Self.order(("amount", "249.9"), ("currency", "ILS")))
            #expect(answer.status == 201, "\(answer.text)")
            #expect(answer.string("amount") == "249.90")
            #expect(answer.string("purpose") == "order")
            #expect(answer.string("subject") == "A-1")
            #expect(answer.json["metadata"]?["cart"]?.string == "7")
            #expect(answer.json["attempts"]?.array?.isEmpty == true)
        }
    }

    @Test(
        "a plan's price is ours: a body that names another one is refused",
        arguments: [
            (["amount": "2.99"], "amount"), (["amount": 1], "amount"), (["amount": "3e0"], "amount"), (["currency": "XOF"], "currency"),
            (["metadata": ["new_plan": "gold"]], "metadata.new_plan"), (["metadata": ["new_plan": "free"]], "metadata.new_plan"),
            (["metadata": [:]], "metadata.new_plan"), (["metadata": ["new_plan": "pro", "plan_upgrade": false]], "metadata.plan_upgrade"),
            (["payment_method": "cash"], "payment_method"), (["payment_method": nil], "payment_method"),
            (["return_url": "javascript:alert(1)"], "return_url"),
        ] as [(JSON, String)])
    func planFaults(changes: JSON, field: String) async throws {
        try await WebStage.with { stage in
            var body: JSONObject = ["payment_method": "mobile_money", "metadata": ["new_plan": "pro"]]
            for member in changes.object ?? JSONObject() { body[member.key] = member.value }
            let answer = try await stage.post("/api/payments/team/initiate", .object(body))
            #expect(answer.status == 422, "\(answer.text)")
            #expect(answer.json["errors"]?.array?.map { $0["field"]?.string } == [field], "\(answer.text)")
            #expect(try await stage.database.read { try PaymentStore.list(limit: 1, in: $0).isEmpty })
        }
    }

    @Test("a plan's price may be named as it is", arguments: ["3", "3.0", "3.00"])
    func planPriceAgreed(amount: String) async throws {
        try await WebStage.with { stage in
            let body: JSON = [
                "payment_method": "mobile_money", "amount": .number(amount), "currency": "EUR", "metadata": ["new_plan": "pay_as_you_go"],
            ]
            #expect(try await stage.post("/api/payments/team/initiate", body).status == 201)
            let slashed = try await stage.post("/api/payments/te%2Fam/initiate", body)
            #expect(slashed.json["errors"]?[0]?["field"]?.string == "team")
        }
    }

    @Test("a body over its route's limit, an unknown address and a wrong method are told apart")
    func routing() async throws {
        try await WebStage.with { stage in
            let large = try await stage.post("/api/v1/payments/", ["description": .string(String(repeating: "x", count: 70_000))])
            #expect(large.status == 413)
            let unknown = try await stage.get("/api/v2/nothing")
            #expect(unknown.status == 404)
            #expect(unknown.headers["content-type"] == "application/problem+json")
            let page = try await stage.send("GET", "/nothing", headers: ["accept": "text/html"])
            #expect(page.status == 404)
            #expect(page.headers["content-type"]?.hasPrefix("text/html") == true)
            let wrong = try await stage.get("/api/v1/payments/")
            #expect(wrong.status == 405)
            #expect(wrong.headers["allow"] == "POST")
            let delete = try await stage.send("DELETE", "/api/v1/payments/pay_x/")
            #expect(delete.headers["allow"] == "GET, HEAD")
            #expect(try await stage.get("/api/v1/payments/%ff/").status == 404)
        }
    }

    @Test("health, readiness, metrics and the description of the calls are open to all")
    func operations() async throws {
        try await WebStage.with { stage in
            #expect(try await stage.send("GET", "/healthz").status == 200)
            #expect(try await stage.send("GET", "/readyz").status == 200)
            #expect(try await stage.send("HEAD", "/healthz").status == 200)
            #expect(try await stage.send("GET", "/metrics").text.contains("http_requests_total"))
            let described = try await stage.send("GET", "/openapi.json")
            let paths = try #require(described.json["paths"]?.object)
            #expect(paths.count >= 15)
            for path in paths {
                for method in path.value.object?.keys ?? [] {
                    let target = path.key.replacing("{provider}", with: "cinetpay").replacing("{", with: "").replacing("}", with: "")
                    let answer = try await stage.send(method.uppercased(), target)
                    #expect(answer.status != 405, "\(method) \(path.key)")
                    #expect(answer.string("detail") != "nothing is at this address", "\(method) \(path.key)")
                }
            }
        }
    }

    @Test("an order that another system reports is paid by its signed message, even one that came first")
    func reportedOrder() async throws {
        try await WebStage.with { stage in
            #expect(try await stage.report("payment.succeeded", order: "A-1", amount: "15000", currency: "XOF") == 200)
            let early = try await stage.post("/api/v1/payments/", Self.order(("provider", "standard-webhooks")))
            #expect(early.string("status") == "paid", "\(early.text)")
            let again = try await stage.post("/api/v1/payments/", Self.order(("provider", "standard-webhooks")))
            #expect(again.status == 409)
            #expect(again.string("payment") == early.string("id"))

            let later = try await stage.post("/api/v1/payments/", Self.order(("order_id", "A-2"), ("provider", "standard-webhooks")))
            #expect(later.string("status") == "created")
            #expect(try await stage.report("payment.succeeded", order: "A-2", amount: "15000", currency: "XOF") == 200)
            let shown = try await stage.get("/api/v1/payments/standard-webhooks/\(later.string("id") ?? "")/status/")
            #expect(shown.string("status") == "paid")
        }
    }
}
