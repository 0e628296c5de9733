/// Texts as FeexPay's networks take them: letters of the alphabet, digits and blanks. A hyphen alone makes MTN refuse a payment.
enum PlainWords {
    /// - Parameter joining: what vanishes without leaving a blank.
    static func of(_ text: String, joining: Set<Unicode.Scalar> = ["-", "'", "’", "‑"]) -> String {
        var plain = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9": plain.unicodeScalars.append(scalar)
            // Marks that stand above or below the letter before them.
            case "\u{300}"..."\u{36F}": continue
            case _ where joining.contains(scalar): continue
            default: plain += letters[scalar] ?? " "
            }
        }
        return plain.split(separator: " ").joined(separator: " ")
    }

    private static let letters: [Unicode.Scalar: String] = {
        let rows: [(String, String)] = [
            ("àâäáãåā", "a"), ("ç", "c"), ("èéêëēɛẽ", "e"), ("ìíîïī", "i"), ("ñŋ", "n"), ("òóôõöøōɔ", "o"), ("ùúûüū", "u"), ("ýÿ", "y"),
            ("œ", "oe"), ("æ", "ae"), ("ß", "ss"), ("ɖđð", "d"), ("š", "s"), ("ž", "z"), ("ƒ", "f"), ("ʋ", "v"), ("ɣ", "g"), ("ł", "l"),
        ]
        var letters: [Unicode.Scalar: String] = [:]
        for (marked, plain) in rows {
            for letter in marked.unicodeScalars {
                letters[letter] = plain
                let capital = letter.properties.uppercaseMapping.unicodeScalars
                if let scalar = capital.first, capital.count == 1 { letters[scalar] = plain.uppercased() }
            }
        }
        return letters
    }()
}
