#include "source/synthetic/words.h"

#define WORDS(list)                                                                                \
    {                                                                                              \
        (list), sizeof(list) / sizeof *(list)                                                      \
    }

/* The lists stay blocks of words. */
/* clang-format off */
static const char *const first_names[] = {
    "aaron", "adam", "adrian", "alan", "albert", "alexander", "alexis", "alice", "alicia",
    "allison", "amanda", "amber", "amy", "andrea", "andrew", "angela", "anita", "ann", "anna",
    "anthony", "antonio", "april", "ashley", "audrey", "barbara", "beatrice", "becky", "benjamin",
    "bernard", "beth", "bethany", "betty", "beverly", "bonnie", "brandi", "brandon", "brenda",
    "brian", "brittany", "bruce", "bryan", "caitlin", "calvin", "candace", "carla", "carlos",
    "carmen", "carol", "caroline", "carolyn", "carrie", "catherine", "chad", "charlene", "charles",
    "chelsea", "cheryl", "chloe", "christina", "christine", "christopher", "cindy", "claire",
    "clara", "claudia", "clayton", "connie", "corey", "courtney", "craig", "cristina", "crystal",
    "cynthia", "daniel", "danielle", "darlene", "darrell", "david", "dawn", "deborah", "debra",
    "denise", "dennis", "derek", "derrick", "diana", "diane", "dominic", "donald", "donna",
    "dorothy", "douglas", "dustin", "dylan", "edgar", "eduardo", "edward", "eileen", "elaine",
    "elizabeth", "emily", "emma", "eric", "erica", "erin", "ernest", "ethan", "eugene", "evelyn",
    "felicia", "fernando", "frances", "francisco", "frank", "gabriel", "gabriela", "gary", "gavin",
    "george", "gerald", "gina", "gloria", "grace", "gregory", "hannah", "harold", "heather",
    "hector", "heidi", "helen", "henrik", "holly", "isabel", "isaiah", "ivan", "jacob",
    "jacqueline", "jaime", "james", "janet", "jared", "jasmine", "jason", "javier", "jeanette",
    "jeffrey", "jennifer", "jeremy", "jerome", "jessica", "jillian", "joan", "joanna", "joel",
    "john", "jonathan", "jorge", "jose", "joseph", "joshua", "joyce", "juan", "judith", "julia",
    "julian", "julie", "justin", "karen", "karina", "katherine", "kathleen", "katie", "kayla",
    "keith", "kelsey", "kenneth", "kevin", "kimberly", "kristen", "kristin", "kristina", "kurt",
    "kyle", "larry", "latoya", "laura", "lauren", "leonard", "leslie", "linda", "lindsey", "lisa",
    "lori", "louis", "lucas", "luis", "lydia", "madeline", "marcus", "margaret", "maria", "mariah",
    "marissa", "mark", "martha", "mary", "matthew", "maureen", "megan", "melanie", "melissa",
    "meredith", "michael", "michelle", "miguel", "mindy", "miranda", "monica", "monique", "nancy",
    "natalie", "natasha", "nathan", "nicholas", "nicole", "noah", "nora", "norman", "olivia",
    "oscar", "pamela", "patricia", "patrick", "paula", "peggy", "peter", "philip", "phillip",
    "priscilla", "rachel", "ralph", "randy", "raymond", "rebecca", "regina", "renee", "ricardo",
    "robert", "roberta", "rodney", "roger", "ronald", "rosa", "ruben", "russell", "ruth",
    "samantha", "samuel", "sandra", "sara", "savannah", "sean", "selena", "sergio", "shannon",
    "sharon", "shawn", "sheila", "shelby", "sheri", "sherry", "shirley", "sierra", "sofia", "sonia",
    "stacey", "stefanie", "stephanie", "stephen", "steven", "susan", "suzanne", "sylvia", "tamara",
    "tammy", "tanya", "tara", "teresa", "theodore", "theresa", "tiffany", "timothy", "tina", "todd",
    "tonya", "tracy", "travis", "tristan", "troy", "valerie", "vanessa", "veronica", "vicki",
    "victoria", "vincent", "virginia", "walter", "wanda", "wendy", "wesley", "whitney", "william",
    "willie", "xavier", "yolanda", "yvette", "yvonne", "zachary", "zoe",
};

static const char *const last_names[] = {
    "abbott", "adkins", "aguilar", "alvarado", "alvarez", "anderson", "andrade", "archer",
    "armstrong", "arnold", "arroyo", "atkins", "atkinson", "avery", "baker", "baldwin", "ball",
    "banks", "barker", "barnes", "barnett", "barrera", "barrett", "bartlett", "barton", "bauer",
    "beard", "beasley", "becker", "beltran", "benson", "bishop", "black", "blackburn", "blair",
    "blake", "blankenship", "blevins", "boone", "booth", "bowen", "bowers", "bowman", "boyd",
    "boyer", "bradford", "bradley", "brady", "braun", "brennan", "brewer", "bridges", "briggs",
    "brooks", "brown", "browning", "buchanan", "buck", "burgess", "burke", "burnett", "burns",
    "burton", "bush", "butler", "byrd", "cabrera", "cain", "calderon", "caldwell", "calhoun",
    "callahan", "camacho", "cameron", "campbell", "campos", "cannon", "cantu", "cardenas", "carey",
    "carlson", "carpenter", "carrillo", "carroll", "carson", "carter", "case", "castaneda",
    "castillo", "castro", "cervantes", "chambers", "chandler", "chang", "chapman", "chavez", "chen",
    "choi", "christensen", "chung", "church", "cisneros", "clark", "clarke", "clements", "cobb",
    "cochran", "coleman", "collier", "collins", "combs", "compton", "conley", "conner", "conway",
    "cooper", "cordova", "cortez", "costa", "cowan", "cox", "crane", "crawford", "cross", "cruz",
    "cummings", "cunningham", "curry", "dalton", "daniels", "daugherty", "davenport", "davidson",
    "davies", "davis", "dawson", "decker", "delacruz", "deleon", "delgado", "diaz", "dickerson",
    "dickson", "dixon", "dodson", "dominguez", "donaldson", "donovan", "dorsey", "doyle", "drake",
    "duarte", "dudley", "duffy", "duncan", "dunlap", "dunn", "duran", "dyer", "eaton", "edwards",
    "elliott", "ellison", "english", "erickson", "espinoza", "estes", "estrada", "farley", "farmer",
    "farrell", "faulkner", "ferguson", "fernandez", "fields", "figueroa", "fischer", "fisher",
    "fitzgerald", "fleming", "fletcher", "flores", "flowers", "floyd", "flynn", "foley", "forbes",
    "ford", "foster", "fowler", "fox", "franco", "frazier", "frederick", "freeman", "french",
    "friedman", "fritz", "frost", "fuentes", "fuller", "gaines", "galindo", "gallagher", "gallegos",
    "galvan", "garcia", "gardner", "garner", "garrett", "garrison", "gates", "gentry", "gibbs",
    "gibson", "gilbert", "giles", "gillespie", "gilmore", "glass", "glover", "golden", "gomez",
    "gonzales", "gonzalez", "goodman", "goodwin", "gould", "graham", "graves", "gray", "green",
    "greene", "greer", "griffin", "griffith", "grimes", "gross", "guerra", "guerrero", "gutierrez",
    "guzman", "hale", "hall", "hamilton", "hammond", "hampton", "hancock", "hansen", "hanson",
    "hardin", "harding", "hardy", "harmon", "harper", "harrell", "harrington", "harris", "harrison",
    "hartman", "harvey", "hatfield", "hawkins", "hayden", "hayes", "haynes", "heath", "hebert",
    "henderson", "hendricks", "hensley", "herman", "hernandez", "herrera", "herring", "hess",
    "hester", "hickman", "hicks", "higgins", "hill", "hines", "hobbs", "hodge", "hoffman", "hogan",
    "holden", "holland", "holloway", "holmes", "holt", "hood", "hooper", "hoover", "hopkins",
    "horne", "horton", "houston", "howard", "howell", "hubbard", "huber", "hudson", "huerta",
    "huffman", "hughes", "hull", "humphrey", "hunt", "hurley", "hutchinson", "ibarra", "ingram",
    "jackson", "jacobs", "jacobson", "jarvis", "jefferson", "jenkins", "jennings", "jensen",
    "jimenez", "johns", "johnson", "johnston", "jones", "juarez", "kaiser", "kaufman", "keller",
    "kemp", "kennedy", "khan", "kirby", "klein", "knapp", "knight", "koch", "kramer", "krause",
    "krueger", "lambert", "landry", "lang", "larsen", "larson", "lawson", "leblanc", "leon",
    "levine", "levy", "lindgren", "livingston", "lloyd", "lopez", "lowe", "lowery", "lozano",
    "lucero", "luna", "lynch", "lyons", "macdonald", "macias", "madden", "maddox", "maldonado",
    "malone", "mann", "manning", "marks", "marquez", "marsh", "marshall", "martinez", "mason",
    "massey", "mathews", "matthews", "maxwell", "mayer", "maynard", "mcbride", "mccall", "mccarthy",
    "mcclain", "mcclure", "mcconnell", "mccormick", "mccoy", "mcdaniel", "mcdonald", "mcdowell",
    "mcfarland", "mcgee", "mcguire", "mckay", "mckee", "mckenzie", "mckinney", "mclaughlin",
    "mclean", "mcmahon", "mcmillan", "mcpherson", "meadows", "medina", "mejia", "melendez",
    "melton", "mendez", "mendoza", "mercado", "mercer", "merritt", "meyer", "middleton", "miles",
    "miller", "mills", "molina", "monroe", "montes", "montgomery", "montoya", "moody", "moon",
    "mooney", "moore", "mora", "morales", "moran", "moreno", "morgan", "morris", "morrison",
    "morrow", "morton", "mosley", "moss", "mueller", "mullen", "mullins", "munoz", "murillo",
    "murphy", "murray", "myers", "nash", "navarro", "neal", "nelson", "newman", "newton", "nguyen",
    "nichols", "nielsen", "nixon", "nolan", "norris", "norton", "nunez", "obrien", "ochoa",
    "oconnell", "oconnor", "odom", "odonnell", "oliver", "olsen", "olson", "oneal", "oneill",
    "orozco", "orr", "ortega", "ortiz", "osborn", "owens", "pace", "pacheco", "padilla", "palmer",
    "parker", "parks", "parsons", "patel", "patterson", "patton", "payne", "pearson", "pena",
    "perez", "perkins", "perry", "peters", "petersen", "peterson", "pham", "phelps", "phillips",
    "pierce", "pittman", "pitts", "pollard", "ponce", "poole", "pope", "porter", "potter", "powell",
    "powers", "pratt", "preston", "price", "prince", "proctor", "pruitt", "pugh", "quinn",
    "ramirez", "ramos", "ramsey", "rangel", "rasmussen", "reed", "reese", "reeves", "reid",
    "reilly", "reyes", "reynolds", "rhodes", "rice", "rich", "richards", "richardson", "richmond",
    "riggs", "riley", "rios", "ritter", "rivas", "rivera", "rivers", "roach", "robbins", "roberson",
    "roberts", "robertson", "robinson", "robles", "rocha", "rodgers", "rodriguez", "rogers",
    "rojas", "rollins", "roman", "romero", "rosales", "rosario", "ross", "roth", "rowland", "rubio",
    "ruiz", "russo", "salas", "salazar", "salinas", "sampson", "sanchez", "sanders", "sandoval",
    "santana", "santiago", "santos", "saunders", "savage", "sawyer", "schaefer", "schmidt",
    "schmitt", "schneider", "schroeder", "schultz", "schwartz", "scott", "sellers", "serrano",
    "sexton", "shaffer", "shah", "sharp", "shaw", "shelton", "shepard", "shepherd", "sheppard",
    "sherman", "shields", "short", "silva", "simmons", "simon", "simpson", "sims", "singh",
    "singleton", "skinner", "sloan", "small", "smith", "snow", "snyder", "solis", "solomon", "sosa",
    "soto", "sparks", "spears", "spence", "spencer", "stafford", "stanley", "stanton", "stark",
    "steele", "stein", "stephens", "stephenson", "stevens", "stevenson", "stokes", "stone", "stout",
    "strickland", "strong", "stuart", "suarez", "sullivan", "summers", "sutton", "swanson",
    "sweeney", "tanner", "tate", "taylor", "terrell", "terry", "thompson", "thornton", "tran",
    "trevino", "trujillo", "tucker", "turner", "tyler", "underwood", "valdez", "valencia",
    "valentine", "valenzuela", "vance", "vang", "vargas", "vasquez", "vaughan", "vaughn", "vega",
    "velasquez", "velez", "villa", "villanueva", "villarreal", "villegas", "wade", "wagner",
    "walker", "wall", "wallace", "waller", "walls", "walsh", "walters", "walton", "ware", "warner",
    "warren", "washington", "waters", "watkins", "watson", "watts", "weaver", "webb", "weber",
    "webster", "weiss", "welch", "wells", "werner", "west", "wheeler", "wiggins", "wilcox", "wiley",
    "wilkerson", "wilkins", "wilkinson", "williams", "williamson", "willis", "wilson", "winters",
    "wolf", "wolfe", "wood", "woodard", "woods", "woodward", "wright", "wyatt", "yang", "yates",
    "york", "young", "yu", "zamora", "zavala", "zhang", "zimmerman", "zuniga",
};

static const char *const countries[] = {
    "IN", "CN", "US", "ID", "BR", "RU", "NG", "JP", "MX", "DE", "PK", "PH", "VN", "BD", "TR", "EG",
    "GB", "IR", "TH", "FR", "IT", "KR", "ES", "ZA", "CO", "CA", "AR", "PL", "UA", "SA", "MY", "MA",
    "DZ", "ET", "AU", "KE", "UZ", "IQ", "TW", "PE", "NL", "RO", "CL", "VE", "MM", "KZ", "NP", "GH",
    "TZ", "EC", "SD", "LK", "GT", "BE", "SE", "AE", "CZ", "KH", "PT", "CM", "CI", "DO", "GR", "CH",
    "AZ", "AT", "IL", "JO", "HU", "BY", "BO", "TN", "UG", "SN", "YE", "HK", "AF", "DK", "SG", "FI",
    "AO", "NO", "SK", "NZ", "HN", "IE", "ZM", "BG", "PY", "CU", "LB", "RS", "KG", "CR", "SV", "LA",
    "KW", "LY", "OM", "ML", "MZ", "ZW", "NI", "HR", "SY", "GE", "PA", "CG", "BF", "QA", "PS", "TM",
    "TJ", "PR", "UY", "BJ", "GN", "MG", "MN", "MD", "HT", "BA", "RW", "AM", "LT", "AL", "NE", "MW",
    "JM", "SI", "TG", "BH", "LV", "TD", "MK", "MR", "EE", "SL", "BW", "NA", "GA", "SO", "PG", "TT",
    "GM", "LR", "MU", "CY", "LS", "BI", "LU", "MO", "SS", "GW", "GQ", "SZ", "BT", "GY", "SR", "ME",
    "TL", "MT", "DJ", "CF", "CV", "BN", "IS", "MV", "FJ", "BS", "BB", "KM", "ER", "BZ", "PF", "NC",
    "GU", "GP", "MQ", "SB", "RE", "VU", "WS", "LC", "ST", "AW", "JE", "GG", "IM", "AD", "BM", "SC",
    "AG", "DM", "GD", "VC", "KN", "GL", "FO", "KY", "TO", "KI", "FM", "MH", "LI", "MC", "SM", "GI",
    "PW", "CK", "VG", "AS", "MP", "TC", "AI", "MS", "NR", "TV", "VA",
};

static const char *const city_prefixes[] = {
    "North", "East", "West", "South", "New", "Lake", "Port",
};

static const char *const city_suffixes[] = {
    "town", "ton", "land", "ville", "berg", "burgh", "borough", "bury", "view", "port", "mouth",
    "stad", "furt", "chester", "fort", "haven", "side", "shire",
};

static const char *const verbs[] = {
    "adjust", "assemble", "build", "buy", "care-for", "choose", "clean", "combine", "compare",
    "customize", "decorate", "design", "fold", "gift", "install", "keep", "make", "measure",
    "order", "organize", "paint", "plan", "price", "recycle", "repair", "replace", "restore",
    "return", "sell", "ship", "store", "style", "test", "track", "upgrade", "use", "wash", "wrap",
};

static const char *const adjectives[] = {
    "amber", "blue", "bright", "bronze", "classic", "compact", "copper", "cosy", "elegant",
    "folding", "gentle", "golden", "green", "handmade", "heavy", "large", "light", "little",
    "matte", "minimal", "modern", "natural", "navy", "oak", "old", "orange", "pale", "plain",
    "purple", "quiet", "red", "round", "rustic", "silver", "simple", "slim", "smart", "soft",
    "solid", "square", "striped", "sturdy", "tall", "tiny", "vintage", "warm", "white", "wooden",
    "yellow",
};

static const char *const things[] = {
    "apron", "armchair", "backpack", "basket", "bathtub", "bench", "blanket", "bookcase", "bottle",
    "bowl", "bracelet", "broom", "bucket", "cabinet", "camera", "candle", "carpet", "chair",
    "clock", "coat", "compass", "cup", "curtain", "cushion", "desk", "doormat", "drawer", "drum",
    "easel", "fan", "fork", "frame", "guitar", "hammer", "hammock", "hat", "jacket", "jar", "jug",
    "kettle", "keyboard", "kite", "knife", "ladder", "lamp", "lantern", "mattress", "mirror", "mug",
    "napkin", "notebook", "oven", "pan", "pencil", "piano", "pillow", "pitcher", "plate", "pot",
    "purse", "quilt", "racket", "radio", "ribbon", "rug", "saddle", "scarf", "scooter", "shelf",
    "shovel", "sink", "sofa", "spoon", "stool", "suitcase", "table", "tablecloth", "teapot", "tent",
    "toaster", "towel", "tray", "trunk", "umbrella", "vase", "wallet", "watch", "wheel", "whistle",
    "window", "workbench",
};

static const char *const topics[] = {
    "accounts", "accessibility", "analytics", "api", "backups", "billing", "campaigns", "careers",
    "cloud", "community", "customers", "dashboards", "data", "delivery", "design", "discounts",
    "education", "email", "events", "exports", "finance", "forms", "gardening", "hardware",
    "health", "imports", "integrations", "invoices", "kitchen", "legal", "living", "logistics",
    "marketing", "mobile", "newsletters", "orders", "outdoor", "payments", "performance", "press",
    "privacy", "quality", "refunds", "reports", "research", "retail", "returns", "sales",
    "security", "shipping", "subscriptions", "support", "sustainability", "taxes", "templates",
    "tracking", "training", "travel", "warranty", "webhooks", "wholesale", "workshops",
};

static const char *const audiences[] = {
    "agencies", "architects", "artists", "beginners", "bakeries", "cafes", "clubs", "designers",
    "developers", "families", "freelancers", "gardeners", "hotels", "libraries", "makers",
    "museums", "nurses", "offices", "parents", "partners", "photographers", "publishers",
    "restaurants", "schools", "startups", "students", "studios", "teachers", "teams", "travellers",
    "workshops",
};

/* clang-format on */

const cm_words_t cm_words_first_names = WORDS(first_names);
const cm_words_t cm_words_last_names = WORDS(last_names);
const cm_words_t cm_words_countries = WORDS(countries);
const cm_words_t cm_words_city_prefixes = WORDS(city_prefixes);
const cm_words_t cm_words_city_suffixes = WORDS(city_suffixes);
const cm_words_t cm_words_verbs = WORDS(verbs);
const cm_words_t cm_words_adjectives = WORDS(adjectives);
const cm_words_t cm_words_things = WORDS(things);
const cm_words_t cm_words_topics = WORDS(topics);
const cm_words_t cm_words_audiences = WORDS(audiences);
