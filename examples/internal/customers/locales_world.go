package customers

func enUS() locale {
	return locale{
		tag: "en-US", country: "US", currency: "USD",
		given: names("Abigail, Brantley, Cassidy, Delmar, Everett, Florence, Grayson, Hadley, Isadora, Jedediah, Kendall, Lorraine, " +
			"Marcellus, Noelle, Octavia, Preston, Roderick, Savannah, Thaddeus, Unity, Vernon, Winifred, Yolanda, Zachariah"),
		family: names("Alderquist, Barnswallow, Copperfen, Dunwicket, Elkridger, Fernhollow, Grindlemoor, Hartlebeck, Inkwater, Juniperson, " +
			"Kettlebrook, Lanternby, Millwhistle, Norwicket, Oatfielding, Pellbrook, Quillmere, Ravensfeather, Summerquay, " +
			"Tumbleston, Underwillow, Vellumworth, Windlehaven, Yellowbirch"),
		streets: words("Elm Hollow Lane, Copperhead Drive, Prairie Lantern Road, Sycamore Bend, Old Depot Street, Whippoorwill Court, " +
			"Mesa Verbena Avenue, Cannery Row East, Blue Heron Parkway, Millstone Terrace, Buckeye Circle, Juniper Ridge Trail"),
		cities: words("Fernhaven, Maple Hollow, Port Larkin, Dry Bend, Cedar Notch, New Alder, Silverpine Falls, Quarry Junction, " +
			"Lake Tamber, West Orrin"),
		hosts:  words("mail.example.com, inbox.example.net, home.example.org"),
		postal: "000##", // no ZIP code begins with three zeros
		phones: []string{ // 555-0100 to 555-0199 are kept for fiction in every area
			"+1 206 555 01##", "+1 212 555 01##", "+1 303 555 01##", "+1 404 555 01##",
			"+1 512 555 01##", "+1 617 555 01##", "+1 702 555 01##", "+1 808 555 01##",
		},
		notes: []string{
			"%s called about order %d and asked to be reached after work.",
			"Talked to %s: invoice %d was paid twice, refund is on its way.",
			"%s wants package %d left at the back porch.",
		},
		fullName: middleInitial, streetLine: numberFirst, nationalID: usSSN,
	}
}

func ptBR() locale {
	return locale{
		tag: "pt-BR", country: "BR", currency: "BRL",
		given: names("Anunciação, Benício, Conceição, Damião, Eunápio, Fátima, Glória, Heloísa, Iracema, Jurandir, Kauã, Lindalva, " +
			"Moacir, Nazaré, Otacílio, Purificação, Quitéria, Raimunda, Severino, Tainá, Ubirajara, Valdirene, Washington, Zulmira"),
		family: names("Açucenal, Buritizeiro, Capimdourado, Dendezal, Embaúbas, Figueirinha, Goiabal, Ipêroxo, Jabuticabal, Lagoamansa, " +
			"Mangueirão, Nhambuzim, Orvalhal, Pitangueiro, Quaresmeira, Ribeirãozinho, Sabiámar, Tamanduazal, Umbuzeiral, Vargemgrande"),
		streets: words("Rua das Paineiras Azuis, Avenida do Ipê-Roxo, Travessa dos Tucanos, Rua do Cajueiro, Alameda das Garças, Ladeira da Pitanga, " +
			"Rua Sete Coqueiros, Praça do Boto, Estrada da Jaqueira, Rua do Mandacaru"),
		cities: words("Nova Pitangal, São Benício do Sul, Lagoa das Emas, Porto Jacarandá, Serra do Buriti, Vila Maracujá, Itaporã-Mirim, " +
			"Campo das Araras, Riacho Manso, Boa Aurora"),
		hosts:  words("correio.example.com, caixa.example.org, casa.example.net"),
		postal: "00###-###",
		phones: []string{"+55 11 0####-####", "+55 21 0####-####", "+55 71 0####-####"}, // no range is kept; no number begins with 0
		notes: []string{
			"%s pediu retorno sobre o pedido %d, de preferência à noite.",
			"Conversa com %s: a fatura %d foi paga em dobro.",
			"%s quer retirar o pacote %d na portaria.",
		},
		fullName: twoFamilies, streetLine: numberAfterComma, nationalID: brCPF,
	}
}

func jaJP() locale {
	return locale{
		tag: "ja-JP", country: "JP", currency: "JPY",
		given: names("葵|aoi, 一馬|kazuma, 千尋|chihiro, 大和|yamato, 詠子|eiko, 冬馬|toma, 楓|kaede, 花音|kanon, 樹里|juri, 航平|kohei, " +
			"紗良|sara, 翔平太|shoheita, 鈴音|suzune, 拓海|takumi, 朋美|tomomi, 直哉|naoya, 陽菜|hina, 真央子|maoko, 美月|mizuki, " +
			"結衣|yui, 凛太郎|rintaro, 蓮司|renji, 和香|waka, 蒼介|sosuke"),
		family: names("星野原|hoshinohara, 雪森|yukimori, 風見沢|kazamizawa, 月ノ瀬|tsukinose, 霧ヶ丘|kirigaoka, 花咲里|hanasakisato, " +
			"水無川|minasegawa, 竹ノ宮|takenomiya, 鈴鹿森|suzukamori, 朝霞野|asakano, 緑川原|midorigawara, 白鷺谷|shirasagidani, " +
			"空知原|sorachihara, 虹ヶ崎|nijigasaki, 葉山路|hayamaji, 夕凪|yunagi, 石蕗|tsuwabuki, 千草野|chigusano, 雲居坂|kumoizaka, 桐ヶ谷原|kirigayahara"),
		streets: words("架空町, 月見坂, 桜木台, 新緑ヶ丘, 風車通り, 鈴虫町, 水鏡町, 若草台, 夕霧町, 星見ヶ丘"),
		cities:  words("北星市, 霧ヶ浜市, 花園原町, 緑湖市, 東雲谷市, 白砂市, 月影市, 南風見市, 朝凪町, 雪見沢市"),
		hosts:   words("yubin.example.net, mail.example.org, meru.example.com"),
		postal:  "000-####",                                                        // real ones begin at 001
		phones:  []string{"+81 3 0### ####", "+81 6 0### ####", "+81 45 0## ####"}, // no range is kept; after the area no number begins with 0
		notes: []string{
			"%sさんより荷物%dについて問い合わせあり。折り返しは夕方以降を希望。",
			"%sさんと通話。請求書%dは二重払いのため返金手続き済み。",
			"%sさんの荷物%dは宅配ボックスに入れること。",
		},
		fullName: familyFirst, streetLine: japaneseStreet, nationalID: jpMyNumber,
	}
}

func hiIN() locale {
	return locale{
		tag: "hi-IN", country: "IN", currency: "INR",
		given: names("अनामिका|anamika, बलराम|balram, चंद्रिका|chandrika, दिव्यांश|divyansh, एकता|ekta, गौरव|gaurav, हर्षिता|harshita, " +
			"ईशान|ishaan, जानकी|janaki, कुसुम|kusum, लोकेश|lokesh, मृणालिनी|mrinalini, नवीन|naveen, ओमकार|omkar, पल्लवी|pallavi, " +
			"राघव|raghav, सुमेधा|sumedha, तन्मय|tanmay, उर्वी|urvi, वसुंधरा|vasundhara, यामिनी|yamini, ज़ोया|zoya"),
		family: names("चंदनवाला|chandanwala, देवसरोवर|devsarovar, गुलमोहरी|gulmohari, हिमछाया|himchhaya, जलतरंगी|jaltarangi, केसरवन|kesarvan, " +
			"मेघपुरिया|meghpuriya, नीलकंवल|neelkanwal, पवनगढ़ी|pavangarhi, रंगशाली|rangshali, सागरतटी|sagartati, तारावट|taravat, " +
			"उपवनकर|upvankar, वटवृक्षी|vatvrikshi, अमलतासी|amaltasi, बनफूलिया|banphuliya, धूपछांव|dhoopchhanv, फूलबगिया|phoolbagiya"),
		streets: words("चंदन मार्ग, गुलमोहर गली, नीम चौक, पुराना कुआँ रोड, अमराई पथ, कमल सरोवर मार्ग, मोर पंख गली, बाँसुरी चौराहा, केवड़ा लेन, इमली पथ"),
		cities:  words("नवचंदनपुर, मेघनगर, तारागंज, सूर्यकुंड नगर, केसरबाग, जलमहलपुर, पवनपुरी, वनफूल नगर, हरितगढ़, अमृतवाड़ी"),
		hosts:   words("dak.example.com, patra.example.org, ghar.example.net"),
		postal:  "0#####",
		phones:  []string{"+91 0#### #####"}, // no range is kept; no number begins with 0
		notes: []string{
			"%s ने ऑर्डर %d के बारे में फ़ोन किया, शाम को वापस बात करनी है।",
			"%s से बात हुई: बिल %d दो बार चुकाया गया, रकम लौटाई जाएगी।",
			"%s चाहते हैं कि पार्सल %d पड़ोसी के पास छोड़ा जाए।",
		},
		fullName: givenFirst, streetLine: indianStreet, nationalID: inAadhaar,
	}
}
