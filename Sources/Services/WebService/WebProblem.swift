import Drafts
import Formats
import HTTPServer
import Payments
import Staff
import Teams

/// An answer that says what is wrong, as `application/problem+json`: which field, which rule.
struct WebProblem: Error {
    /// A field that breaks a rule.
    struct Fault: Sendable, Equatable {
        let field: String
        let rule: String
    }

    let status: Int
    let title: String
    var detail: String?
    /// Members of the problem's own.
    var extra: [(String, JSON)] = []
    var headers: [(String, String)] = []
    /// What people search by, for reports of errors; the caller is not told.
    var about: [String: String] = [:]

    var response: HTTPResponse {
        var response = HTTPResponse.problem(status, title, detail: detail, extra: extra)
        for (name, value) in headers { response.headers[name] = value }
        return response
    }

    static func badRequest(_ detail: String) -> WebProblem { WebProblem(status: 400, title: "Bad request", detail: detail) }
    static func notFound(_ detail: String) -> WebProblem { WebProblem(status: 404, title: "Not found", detail: detail) }
    /// A provider that is asked for and is not on.
    static func notOn(_ name: String, _ providers: ProviderRegistry) -> WebProblem {
        .notFound("provider '\(name.prefix(40))' is not on here; on are: \(providers.names.joined(separator: ", "))")
    }
    static func conflict(_ detail: String, extra: [(String, JSON)] = []) -> WebProblem {
        WebProblem(status: 409, title: "Not possible now", detail: detail, extra: extra)
    }

    /// What the same call, with the same key, may get through when it comes again.
    static func conflict(_ detail: String, extra: [(String, JSON)] = [], afterSeconds seconds: Int) -> WebProblem {
        WebProblem(status: 409, title: "Not possible now", detail: detail, extra: extra, headers: [("Retry-After", String(seconds))])
    }

    /// Every field that breaks a rule, at once.
    static func invalid(_ faults: [Fault]) -> WebProblem {
        WebProblem(
            status: 422, title: "Invalid fields", detail: faults.map { "\($0.field) \($0.rule)" }.joined(separator: "; "),
            extra: [("errors", .array(faults.map { ["field": .string($0.field), "rule": .string($0.rule)] }))])
    }

    /// Whether a field of that name is among those that break a rule.
    func names(_ field: String) -> Bool {
        extra.contains { $0.0 == "errors" && $0.1.array?.contains { $0["field"]?.string == field } == true }
    }

    static func invalid(_ field: String, _ rule: String) -> WebProblem { invalid([Fault(field: field, rule: rule)]) }

    /// Too many calls in too short a time.
    static func tooMany(_ standing: CallMeter.Standing) -> WebProblem {
        let seconds = (standing.waitMs + 999) / 1000
        return WebProblem(
            status: 429, title: "Too many calls", detail: "\(standing.limit) calls a minute are taken; try again in \(seconds) s",
            headers: [("Retry-After", String(seconds))])
    }

    static func tooMany(_ detail: String, afterSeconds seconds: Int) -> WebProblem {
        WebProblem(status: 429, title: "Too many requests", detail: detail, headers: [("Retry-After", String(seconds))])
    }

    static let unavailable = WebProblem(
        status: 503, title: "Temporarily unavailable", detail: "try again in a few seconds", headers: [("Retry-After", "5")])

    /// Files need room that is kept for what was paid for. People have to make some, or a purge has to come by.
    static let noRoom = WebProblem(
        status: 507, title: "No room for files", detail: "no files are taken at the moment; send the form without them, or try again later",
        headers: [("Retry-After", "600")])

    /// The problem that an error of a room means; nil for what is no fault of the caller.
    init?(_ error: any Error) {
        switch error {
        case let problem as WebProblem: self = problem
        case let refusal as LinkRefusal: self = refusal.problem
        case is UploadBroken: self = .badRequest("the body did not come to its end")
        case let error as KitActionError:
            switch error {
            case .notFound: self = .notFound(error.description)
            case .reasonMissing: self = .invalid("reason", "is required")
            case .invalid(let rule): self = WebProblem(status: 422, title: "Invalid fields", detail: rule)
            case .noSecretKey: return nil
            case .wrongState, .notPaid, .noFinal: self = .conflict(error.description, extra: [("code", .string(error.code))])
            }
        case let error as InquiryError:
            switch error {
            case .invalid(let faults): self = .invalid(faults.map { Fault(field: $0.field, rule: $0.rule) })
            case .notFound: self = .notFound(error.description)
            case .noProduct: return nil
            }
        case let error as PaymentError:
            switch error {
            case .notFound: self = .notFound(error.description)
            case .notAllowed(let why): self = .conflict(why)
            case .invalid(let field, let rule): self = .invalid(field, rule)
            case .damagedRow: return nil
            }
        case let error as TeamError:
            switch error {
            case .notFound: self = .notFound(error.description)
            case .belongsToAnotherTeam: self = .conflict(error.description)
            case .invalid(let field, let rule): self = .invalid(field, rule)
            }
        case let error as StaffError:
            switch error {
            case .notFound: self = .notFound(error.description)
            case .notAllowed(let why): self = .conflict(why)
            case .invalid(let field, let rule): self = .invalid(field, rule)
            case .refused: self = WebProblem(status: 403, title: "Forbidden", detail: error.description)
            case .locked: self = WebProblem(status: 429, title: "Too many attempts", detail: error.description)
            case .busy: self = .unavailable
            case .damagedRow: return nil
            }
        default: return nil
        }
    }

    init(status: Int, title: String, detail: String? = nil, extra: [(String, JSON)] = [], headers: [(String, String)] = []) {
        self.status = status
        self.title = title
        self.detail = detail
        self.extra = extra
        self.headers = headers
    }
}
