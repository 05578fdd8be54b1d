"""The small words of languages, which hardly a sentence does without: articles, pronouns, prepositions.

They are what tells languages of one script apart, see `languages`. Each line was written down by hand, after
case folding; a word may belong to several languages. Left out are single Latin letters and those that pass
for them, which stand for much else, and words that mean something else in abuse of another language here, as
`die` and `hoe` do.
"""

# ruff: noqa: RUF001 (letters that pass for others)

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SMALL_WORDS: Final[Mapping[str, str]] = {
    "ar": "من في على الى إلى عن ان أن إن انا أنا انت أنت هو هي هم نحن هذا هذه ذلك التي الذي الذين ما لا لم "
    "لن ليس مع كل بعد قبل بين عند حتى كان كانت يا و او أو ثم قد لقد غير هل كيف لماذا فقط مثل اي أي "
    "بس مش اللي ده دي لكن كما إذا كانوا يكون تكون اللى الي دول دا دى كلهم كلها عشان علشان زي ازاي "
    "ايه إيه اه لازم عايز عاوز احنا إحنا انتو انتي انتم إنت أنتم هما هذي هاد هادا شو ليش وين كتير "
    "كثير جدا ابدا أبدا دائما دايما اكتر أكثر اقل يجب يمكن حول ضد منذ خلال بدون دون نفس بعض جميع "
    "أيضا لأن لانهم لأنهم منهم عليهم فيهم بهم لهم له لها لي لك مني عني بهذا بأن وهو وهي ولا وما فى "
    "مافي مفيش ماهو اذا لو والله",
    "bg": "и на да не се от за по че ще са си съм ти той тя ние вие те това този тази тези който която "
    "които как какво като но или ако до със във без при само още много тук там ми го му ги я ѝ беше "
    "бъде",
    "ca": "el la els les de del dels que en amb per al als un una uns és són ser no més però com quan "
    "també ha jo ella nosaltres vosaltres aquest aquesta això molt tot tots aquests tinc ets som meu "
    "meva seu seva perquè si fins aquí ja",
    "cs": "je se na že to ve do za od po při aby ale jsem jsi jsme jste jsou byl byla bylo být ta ty ti "
    "tak jak jako co kdo když nebo ani není jen už ještě který která které jejich jeho její mě mi mu "
    "nás vás proč všechno všichni toho tento tato",
    "da": "og at er det en et den de der som på af til med for ikke jeg du han hun vi har var kan skal vil "
    "om fra ved over efter blev også eller når nu hvor hvad hvis mig sig mit min din sin dem os bare "
    "hele alle dette disse være været",
    "de": "der das und ist ich du er sie es wir ihr nicht ein eine einen einem einer den dem des mit von "
    "zu zum zur auf für im an auch aber als wie wenn dass sich so bei nach aus noch nur schon habe "
    "haben sind bin bist wird werden kann mich dich mir dir uns euch mein dein kein keine oder was "
    "wer alle diese dieser über unter vor mehr immer doch mal ja sein ihre diesem diesen jeder jede "
    "jeden allen aller alles solche solchen denn dann weil ob damit gegen ohne durch nichts etwas "
    "sehr ganz können muss müssen soll sollte sollten wollen will hier da dort jetzt heute nie "
    "niemals einfach warum deine deinen meine meinen seine ihrer unsere unser eines wieder sonst "
    "zwar trotzdem gibt macht machen sagt geht werde würde würden hatte hätte wäre sei sollen hab "
    "nen",
    "el": "και το τα τη την τησ του των τουσ οι ένα μια είναι δεν να για με σε από που στο στη στην στα "
    "στον πωσ ότι αν αλλά εγώ εσύ αυτό αυτόσ αυτή μου σου μασ σασ θα έχει έχω έχουν όλα όλοι πολύ "
    "μόνο κάθε τι γιατί μην όταν όπωσ ήταν τον",
    "en": "the of and to in is you that it he was for on are as with his they at be this have from or had "
    "by not but what all were we when your can there an each which she do how their if will up other "
    "about out then them these some her would him into has more my been who its did get may than "
    "like just so me don't i'm it's you're that's can't because our us am too no off over down "
    "should could where why only im dont ain't aint yo they're he's she's i'll ur got going want "
    "those here any know go make think see gets getting never even still really much many every such "
    "must being both after before back through without while something nothing someone everyone "
    "people herself himself until since though although yes please thanks let let's i've i'd you'll "
    "you've we're they've doesn't isn't didn't wasn't won't wouldn't shouldn't aren't there's what's "
    "who's say says said need makes does doing take way u're lol ive cant thats whats gonna wanna "
    "tho most come care under men hi",
    "es": "de la que el en los del se las por un para no una su al lo como más pero sus le este sí porque "
    "esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos todos uno les "
    "ni contra otros ese eso ante ellos esto mí antes algunos qué unos yo otro otra él tanto esa "
    "estos mucho quienes nada poco ella estar estas tu te ti eres soy es son está están tú mi mis si "
    "ha he fue tan tanta sólo siempre nunca hacer hace puede pueden tiene tienen tienes tengo debe "
    "deben ser era eran sean fueron cada cual cuál así aquí ahora entonces pues esos esas aquel "
    "mismo misma nuestra nuestro nuestros vosotros ustedes usted vuestro aunque mientras sino "
    "tampoco mejor peor menos todas toda cosa gente estoy estamos has hemos voy vas ir cómo dónde "
    "quién",
    "fa": "و در به از که این را با است برای آن یک خود تا بر هم نیز شد بود ها می من تو او ما شما آنها اما "
    "اگر یا هر چه همه دیگر هیچ باید کرد کن نه چرا چون پس بی رو اون هست نیست",
    "fi": "ja on ei se että en hän he me te ne oli ovat mutta niin tai myös vain jos olen olet olemme minä "
    "sinä mä sä tämä tuo nyt ole mitä mikä joka jotka kuin sitä sen siitä tätä miksi kaikki vaan "
    "ihan minun sinun hänen mun ette eivät sekä koska",
    "fr": "de la le et les des en un du une que est pour qui dans par plus pas au sur ne se ce il sont ou "
    "avec son aux cette elle nous vous ils je tu me te mais comme on tout fait être leur leurs ses "
    "sa ces si ont même été ai suis es c'est j'ai qu'il n'est d'un mon ma mes ton ta tes moi toi lui "
    "donc très bien quand sans rien où ça tous cet ceux celle celui notre nos votre vos entre faut "
    "faire peut peux veux va vas vont sommes êtes étaient était avait avez avons jamais toujours "
    "encore aussi alors contre chez depuis pendant avant après autre autres beaucoup trop peu chaque "
    "toutes toute pourquoi quoi quel quelle dont c'était qu'on qu'elle qu'ils n'ai n'a s'il d'une "
    "l'on m'en aucun aucune ici là",
    "hi": "के में की है यह और से को का पर कि भी नहीं ने तो हैं इस एक था हो कर वह मैं हम तुम आप ये वे लिए "
    "साथ जो क्या अपने अब कुछ तक उस उन ही या थे थी मुझे तुझे मेरे मेरा तेरा सब कोई क्यों कैसे इन रहे "
    "रहा रही जैसे सकते गया नही मत बहुत सिर्फ हमारे हमारी हमारा तुम्हारे तुम्हारी तुम्हारा उनके उनकी "
    "उनका इनके इसके उसके उसकी यहाँ वहाँ जब तब अगर लेकिन मगर क्योंकि करते करता करती करना चाहिए सकता "
    "सकती होना होता होती होते हुए हुआ गई गए दो ऐसे वाले वाली वाला",
    "hr": "je da se na su za od što koji koja koje kao ali ili iz po do ne ni si smo ste nije bi bila to "
    "ovo ovaj ova taj ta sve svi samo već još kad kada ako jer ga mu joj ih im me te mi ti vi oni "
    "kako gdje tko zašto biti nisu sa uz nema",
    "hu": "az és hogy nem is egy ez meg de csak volt már ha mint kell azt ezt én te mi ti ők még vagy aki "
    "ami mert akkor olyan nincs itt ott ki mit miért nekem neked minden vagyok vagyunk lesz",
    "id": "yang dan di ini itu dengan untuk tidak dari dalam akan pada juga saya ke karena tersebut bisa "
    "ada mereka lebih kata tahun sudah atau saat oleh menjadi orang adalah telah kita aku kamu dia "
    "kami apa sangat jangan nya gak ga nggak yg tak kalau semua saja lagi harus banget aja",
    "it": "di che la il un per non una sono mi si ha lo ma ti le cosa se io da no questo qui hai sei del "
    "bene tu era fatto gli della ci anche più al dei delle nel nella alla dal dai perché sua suo "
    "tutto tutti loro noi voi lui lei questa questi quella quello quando molto essere siamo siete "
    "hanno mio mia tua tuo chi degli alle sul sulla li così mai sempre ancora già ogni senza tra fra "
    "dove poi ora adesso lì là allora invece può possono deve devono fare fanno faccio va vanno "
    "erano fosse stato stata stati cui quale quali suoi sue miei tue nostra nostro vostra vostro "
    "nulla niente vi ne tale tali queste quelle quei quegli tanto troppo poco meno però dello agli "
    "sugli",
    "mr": "आहे आणि या मी तो ती ते हे हा ही तू आपण नाही मध्ये साठी पण होते होता होती आहेत काय का कसे असे तर "
    "जे ज्या त्या त्याला मला तुला आम्ही तुम्ही सर्व फक्त करून आता एक झाले केले च ला ने माझे तुझे की",
    "ne": "छ र को मा ले लाई यो त्यो हो छन् थियो गर्न म तिमी हामी उनी पनि तर के किन कसरी सबै भने गरेको भएको "
    "छैन होइन एक यस त्यस का की नै बाट लागि संग सँग",
    "nl": "de het een en van ik te dat in is niet je zijn op aan met voor er maar om hem dan zou of wat "
    "mijn dit zo over ze zich bij ook tot uit kan wel nog naar haar heb heeft hebben ben bent wordt "
    "worden geen als was waren we wij jij jullie mij jou zij hun deze daar hier waarom omdat alleen "
    "iets niets moet alle al onze ons zoals echt zonder altijd nooit nu toch veel meer meest elke "
    "iedere ieder niemand iemand tussen tegen dus want toen tijdens zelf andere ander kunnen moeten "
    "mogen mag zal zullen zouden gaan gaat doen doet maken eens even weer wie welke uw jouw onder "
    "binnen buiten",
    "no": "og at er det en et den de der som på av til med for ikke jeg du han hun vi har var kan skal vil "
    "om fra ved over etter ble også eller når nå hvor hva hvis meg deg seg mitt min din sin dem oss "
    "bare hele alle dette disse være vært dere ikkje eg noe mer",
    "pl": "nie na się do to że jest za co jak tak ale od czy już być by są był była było ja ty on ona my "
    "wy oni mnie ci mi mu go jej ich tego tej ta te tylko jeszcze dla przez przy bez pod nad może "
    "bardzo więc gdy kiedy gdzie kto który która które jego wszystko wszyscy też albo jestem jesteś "
    "żeby nigdy zawsze wszystkich każdy każda nikt nic coś ktoś tutaj tam teraz potem ponieważ bo "
    "bardziej mniej jesteśmy jesteście mam masz ma mają mamy mogą można trzeba powinni powinien nasz "
    "nasze nasi wasz wasze mój moja moje twój twoja swoje swój taki taka takie takich tych tym temu "
    "nim nimi nich nią niej was nas ciebie siebie",
    "pt": "de que não do da em um para com uma os no se na por mais as dos como mas foi ao ele das tem seu "
    "sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem "
    "mesmo aos ter seus quem nas me esse eles estão você tinha foram essa num nem suas meu às minha "
    "têm numa elas sou são és tu te pra vocês isto este esta todos tudo porque tão tanto tanta "
    "somente sempre nunca nada ninguém fazer faz pode podem tenho temos deve devem fosse sejam seja "
    "cada qual quais assim aqui agora então pois porquê esses essas aquele aquela mesma nossa nosso "
    "nossos nossas contra embora enquanto senão melhor pior menos todas toda gente estou estamos vai "
    "vão vou ir onde quê algum alguma nenhum nenhuma tô tá",
    "ro": "și de în la cu nu pe ce este un să din că se mai sunt pentru au fi ca dar eu tu el ea noi voi "
    "ei am ai are fost dacă sau prin după când unde lui lor mă te îl îi meu mea tău ta său doar "
    "foarte toate toți asta acest această fără si sa ma",
    "ru": "и не на я быть он что по это она этот но они мы весь который из то за свой ну так же от все всё "
    "как его мне меня ты для только ещё еще бы если уже или ни вы да нет до их её ее при есть был "
    "была было были когда чтобы кто где тебя тебе нас вам вас им ему эти этих эта этого тоже очень "
    "просто надо под без себя мой твой",
    "sv": "och att det som en på är av för med den inte har de om ett han var jag sig från vi så kan när "
    "år säger hon också efter eller nu sin där vid mot ska skulle kommer ut får finns vara hade alla "
    "andra mycket än här då sedan över bara du mig min din dom ingen varför vad",
    "tr": "ve bir bu da de için ne çok ben sen biz siz onlar var yok mi mı mu mü ile gibi daha kadar en "
    "ama ki şu olarak olan her sonra değil bana sana onun benim senin bize beni seni hiç şey neden "
    "nasıl veya diye ise olduğu bunu bunun tüm",
    "uk": "не на що я з та до як це за він вона вони ми ви ти його її їх від по для але так ще бо чи був "
    "була було були є цей ця ці той коли де хто мене тебе мені тобі нас вас щоб якщо вже або тільки "
    "дуже про при під без свій який яка які також все всі й",
    "ur": "کے میں کی ہے اور سے کو کا پر یہ کہ نہیں بھی نے تو ہیں اس ایک تھا ہو کر وہ ہم تم آپ لیے ساتھ جو "
    "کیا اپنے اب کچھ تک ان ہی یا تھے تھی مجھے میرے میرا تیرا سب کوئی کیوں کیسے رہے رہا رہی گیا",
    "vi": "và của là có không được cho trong một với những này các người đã khi để ra như từ đến về tôi "
    "bạn anh mày tao nó họ chúng thì mà cũng rất nhiều sẽ đang vì nên ở hay hoặc gì đi cái con nào "
    "thế phải làm lại chỉ mình",
}
"""By the first part of a language's tag, with blanks between."""
