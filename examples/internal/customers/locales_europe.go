package customers

func enGB() locale {
	return locale{
		tag: "en-GB", country: "GB", currency: "GBP",
		given: names("Alistair, Beatrix, Callum, Delyth, Edmund, Fenella, Gareth, Harriet, Imogen, Jolyon, Kirsty, Lachlan, " +
			"Maisie, Nerys, Oswin, Poppy, Quentin, Rhiannon, Saffron, Tamsin, Ursula, Verity, Wilfred, Zara"),
		family: names("Ashwickett, Bramblecote, Cobblethorpe, Dunnaway-Pike, Eddlestow, Fennimarsh, Gorsedale, Hathersby, Ivelcombe, " +
			"Kestlewick, Larkenthwaite, Marrowby, Nettleshaw, Oakenbury, Pennyfold, Quillbourne, Rushenden, Saltmere, " +
			"Thistlecombe, Umberleigh-Frost, Wexbourne, Yarrowgate"),
		streets: words("Gorse Lane, Thistledown Road, Old Tannery Row, Heron Mews, Cobnut Crescent, Lower Mill Bank, Quarry Gate, " +
			"Saint Swithun's Walk, Orchard Rise, Kettle Hill, Marram Close, Bellfounder Street"),
		cities: words("Little Wexham, Thornbeck, Marlpool Regis, Sandwick-on-Lea, Oakhampton Vale, Greyfold, Penmarrow, Upper Hathers, " +
			"Kirkbrindle, Eastmere"),
		hosts:  words("post.example.org, mail.example.com, home.example.net"),
		postal: "QQ## #ZZ",
		phones: []string{"+44 1632 960###", "+44 7700 900###", "+44 20 7946 0###"}, // Ofcom keeps them for drama
		notes: []string{
			"%s rang about parcel %d and would rather have it left with the neighbours.",
			"Spoke to %s; the side gate code is %d, please do not ring before nine.",
			"Complaint by %s about invoice %d settled with a voucher.",
		},
		fullName: doubleSurname, streetLine: numberFirst, nationalID: gbNINO,
	}
}

func deDE() locale {
	return locale{
		tag: "de-DE", country: "DE", currency: "EUR",
		given: names("Anneliese, Bärbel, Cornelius, Dörte, Ekkehard, Friederike, Götz, Henrike, Ingolf, Jürgen, Käthe, Lieselotte, " +
			"Matthäus, Nele, Ortwin, Philippa, Roswitha, Sönke, Theodora, Ulrike, Veit, Wiebke, Xaver, Zeno"),
		family: names("Ahrenbäumer, Birkenstößer, Dünnweber, Eichhorster, Fährhold, Grünspecht, Haselröder, Immenkötter, Jägerslust, " +
			"Kornblüher, Lindenquell, Moosgrübler, Nebelhöfer, Osterkühn, Pfannenstößl, Quittenbaum, Rübenacker, " +
			"Schlüsselbach, Tannenmüller, Uferloh, Wiesentäler, Zwetschgenried"),
		streets: words("Tannenweg, Am Mühlgraben, Schlüsselgasse, Ahornstraße, Zur alten Gärtnerei, Fliederstraße, Lerchenfeldring, " +
			"Hinter der Stadtmauer, Bürgerallee, Kastanienufer, Fuchsbaustraße, An der Bleiche"),
		cities: words("Neuwaldau, Oberquellstadt, Birkenfurth, Groß Lindow-Süd, Mühlbrück, Tannroda am See, Kleinwieden, Föhrenstadt, " +
			"Altmoorhausen, Rabenstein-Nord"),
		hosts:  words("post.example.net, briefkasten.example.org, mail.example.com"),
		postal: "00###",
		// The federal network agency keeps these for films.
		phones: []string{"+49 30 23125 ###", "+49 40 66969 ###", "+49 69 90009 ###", "+49 89 99998 ###", "+49 221 4710 ###"},
		notes: []string{
			"%s bittet um Rückruf zur Lieferung %d, möglichst nach 17 Uhr.",
			"Gespräch mit %s: Rechnung %d wurde doppelt bezahlt, Gutschrift veranlasst.",
			"%s möchte Sendung %d künftig an die Packstation bekommen.",
		},
		fullName: doubleSurname, streetLine: numberLast, nationalID: deTaxID,
	}
}

func frFR() locale {
	return locale{
		tag: "fr-FR", country: "FR", currency: "EUR",
		given: names("Aurélie, Benoît, Clémence, Didier, Élodie, Fabrice, Gaëlle, Hervé, Inès, Joël, Karine, Loïc, Maëlle, Noémie, " +
			"Océane, Pénélope, Quentin, Régis, Solène, Thibault, Ursule, Violaine, Yannick, Zélie"),
		family: names("Aubrepierre, Boisvertin, Chantegrêle, Dormeuil-Lac, Épineclair, Fontargent, Grandlièvre, Hautecombe, Jolivent, " +
			"Lanoisette, Montcerise, Noirépi, Orgeblanc, Pierrelune, Quatrefeuille, Rochebrune-Val, Sablonnet, Tournemêche, " +
			"Vallorcin, Yvetière"),
		streets: words("rue des Tilleuls Bleus, avenue du Vieux Moulin, impasse des Hérissons, chemin de la Fontaine Claire, allée des Châtaigniers, " +
			"quai des Bateliers, place du Marché aux Herbes, rue de l'Échelle, boulevard des Glycines, sentier du Renard"),
		cities: words("Saint-Aubin-les-Prés, Montclairvaux, Villeneuve-aux-Cerises, Rochelune, Beaupuits-sur-Loine, Épernoy, " +
			"Fontbrûlée, Pontvermeil, La Charmeraie, Grandval-le-Sec"),
		hosts:  words("courrier.example.com, boite.example.org, mel.example.net"),
		postal: "00###",
		phones: []string{ // ARCEP keeps them for audiovisual works
			"+33 1 99 00 ## ##", "+33 2 61 91 ## ##", "+33 3 53 01 ## ##",
			"+33 4 65 71 ## ##", "+33 5 36 49 ## ##", "+33 6 39 98 ## ##",
		},
		notes: []string{
			"%s souhaite être rappelée au sujet du colis %d, plutôt en soirée.",
			"Échange avec %s : la facture %d a été réglée deux fois.",
			"%s demande de sonner chez la gardienne pour la livraison %d.",
		},
		fullName: doubleSurname, streetLine: frenchStreet, nationalID: frNIR,
	}
}

func csCZ() locale {
	return locale{
		tag: "cs-CZ", country: "CZ", currency: "CZK",
		given: names("Alžběta, Bořivoj, Čeněk, Drahomíra, Eliška, Filoména, Gizela, Hynek, Ivona, Jáchym, Kvído, Lumír, Matylda, " +
			"Nepomuk, Otýlie, Přemek, Radovan, Štěpánka, Tibor, Uršula, Věnceslav, Zbyněk, Žofie, Živana"),
		// Names that have one form for women and men.
		family: names("Vrbovětví, Lipohlavů, Horalesů, Kaliníčků, Modřínů, Podhájí, Rozsochů, Střelkvítí, Tichošlápků, Úžlabí, " +
			"Večerků, Zelnopolí, Žabokvaků, Březosadů, Černobýlí, Důlkamenů, Jasanohájí, Klokočí, Mlžnohorů, Ořešípů"),
		streets: words("Jabloňová stezka, Pod Starým mlýnem, Kovářská brána, U Sedmi studánek, Žabí náměstí, Řeznická lávka, Na Červeném kopci, " +
			"Švestková alej, Křivá ulička, K Vodojemu, Mlynářský ostrov, Za Pivovarem"),
		cities: words("Horní Lipoltice, Nové Březí, Kamenná Strouha, Dolní Vrbiny, Zlatolesí, Starý Žďárek, Modřínov, Podhůří nad Tichou, " +
			"Čertův Důl, Javoříčko-město"),
		hosts:  words("schranka.example.org, posta.example.com, dum.example.net"),
		postal: "0## ##",
		phones: []string{"+420 0## ### ###"}, // no range is kept; no number begins with 0
		notes: []string{
			"%s žádá o zpětné volání kvůli zásilce %d, nejlépe po páté.",
			"Hovor, %s: faktura %d zaplacena dvakrát, přeplatek vrácen.",
			"%s: zásilku %d prosíme nechat u sousedů.",
		},
		fullName: givenFirst, streetLine: czechStreet, nationalID: czBirthNumber,
	}
}

func esES() locale {
	return locale{
		tag: "es-ES", country: "ES", currency: "EUR",
		given: names("Adoración, Begoña, Ciríaco, Dorotea, Eulalia, Fermín, Gúdula, Hermenegilda, Íñigo, Jacinta, Leocadia, Maximino, " +
			"Nicanor, Obdulia, Primitivo, Quiteria, Rómulo, Saturnina, Telesforo, Urraca, Verísimo, Wenceslada, Ximena, Zósimo"),
		family: names("Alcornales, Barranquillo, Campoverdín, Dehesaltas, Encinarroya, Fuentelumbre, Gavilancos, Hontanareda, Jaraíces, " +
			"Lomabuena, Montañuelo, Naranjero, Olivardo, Peñalosilla, Quejigares, Robledondo, Sotomudo, Tomillares, " +
			"Valdemirlo, Zarzalinda"),
		streets: words("Calle del Almendro Viejo, Avenida de los Vencejos, Plaza del Olmo Seco, Camino de la Noria, Paseo de las Acequias, " +
			"Calle de la Peña Parda, Travesía del Molino, Ronda de los Alfareros, Cuesta del Gallo, Calle Higuera"),
		cities: words("Villanueva del Enebro, Peñafría de Abajo, Fuentelencina, Castrillo del Río Seco, Alcorza, Montealto del Rey, " +
			"Navalmirlo, Torrebermeja, Santa Olivia, Pozoclaro"),
		hosts:  words("correo.example.com, buzon.example.net, casa.example.org"),
		postal: "00###",
		phones: []string{"+34 0## ## ## ##"}, // no range is kept; no number begins with 0
		notes: []string{
			"%s pide que la llamen por el pedido %d, mejor por la tarde.",
			"Conversación con %s: la factura %d se cobró dos veces.",
			"%s prefiere recoger el paquete %d en la tienda.",
		},
		fullName: twoFamilies, streetLine: numberAfterComma, nationalID: esDNI,
	}
}
