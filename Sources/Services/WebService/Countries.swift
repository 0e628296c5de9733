import Formats

/// The countries whose customers pay by phone here, with their calling codes and names.
struct Country: Sendable {
    let code: String
    let calling: String
    let french: String
    let english: String

    static let all = [
        Country(code: "BF", calling: "226", french: "Burkina Faso", english: "Burkina Faso"),
        Country(code: "BJ", calling: "229", french: "Bénin", english: "Benin"),
        Country(code: "CD", calling: "243", french: "RD Congo", english: "DR Congo"),
        Country(code: "CF", calling: "236", french: "Centrafrique", english: "Central African Republic"),
        Country(code: "CG", calling: "242", french: "Congo", english: "Congo"),
        Country(code: "CI", calling: "225", french: "Côte d’Ivoire", english: "Ivory Coast"),
        Country(code: "CM", calling: "237", french: "Cameroun", english: "Cameroon"),
        Country(code: "GA", calling: "241", french: "Gabon", english: "Gabon"),
        Country(code: "GN", calling: "224", french: "Guinée", english: "Guinea"),
        Country(code: "GW", calling: "245", french: "Guinée-Bissau", english: "Guinea-Bissau"),
        Country(code: "IL", calling: "972", french: "Israël", english: "Israel"),
        Country(code: "ML", calling: "223", french: "Mali", english: "Mali"),
        Country(code: "NE", calling: "227", french: "Niger", english: "Niger"),
        Country(code: "SN", calling: "221", french: "Sénégal", english: "Senegal"),
        Country(code: "TD", calling: "235", french: "Tchad", english: "Chad"),
        Country(code: "TG", calling: "228", french: "Togo", english: "Togo"),
    ]

    /// A country's name; its code where we have none.
    static func name(of code: String, _ words: Words) -> String {
        all.first { $0.code == code }.map { words($0.french, $0.english) } ?? code
    }

    /// The country of a phone number in international form.
    static func ofPhone(_ phone: String?) -> String? {
        guard let phone, phone.hasPrefix("+") else { return nil }
        return all.first { phone.dropFirst().hasPrefix($0.calling) }?.code
    }
}
