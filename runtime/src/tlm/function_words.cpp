#include "tlm/function_words.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace elrt {
namespace {

// In the order of Language; words with a space after each.
constexpr std::string_view kLists[kListedLanguages] = {
    // English
    "a about above after again against all also am an and any are as at be because been before being below "
    "between both but by can cannot could d did do does doing done down during each either else few for from "
    "further get gets got had has have having he her here hers herself him himself his how i if in into is it its "
    "itself just let ll m many may me might more most much must my myself neither no nor not of off on once one "
    "only or other our ours out over own per please re s same shall she should since so some such t tell than "
    "that the their theirs them themselves then there these they this those through to too toward under until up "
    "upon us ve very was we were what whatever when where whether which while who whom whose why will with within "
    "without would yet you your yours yourself ",
    // German
    "aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist da damit "
    "dann das dass dein deine dem den denn der des dessen die dies diese diesem diesen dieser dieses doch dort du "
    "durch ein eine einem einen einer eines er es etwas euch euer fur gegen habe haben hat hatte hatten hier ich "
    "ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jeden jeder jedes kann kein keine mein meine "
    "mich mir mit nach nicht noch nur ob oder ohne sehr sein seine seinem seinen seiner seit sich sie sind so "
    "soll uber um und uns unser unter vom von vor wann war waren warum was weil welche welchem welchen welcher "
    "welches wem wen wenn wer werden wie wieder wird wo wofur woher wohin wurde wurden zu zum zur zwischen ",
    // French
    "ai alors au aucun aussi autre aux avait avant avec avez avoir avons c ce ceci cela celle celui ces cet cette "
    "chez comme comment contre d dans de depuis des dont du elle elles en encore entre es est et etaient etait "
    "ete etes etre eu eux fait il ils j je jusqu l la le les leur leurs lors lui m ma mais me meme mes moi mon n "
    "ne ni nos notre nous on ont ou par parce pas pendant peu plus pour pourquoi puis qu quand que quel quelle "
    "quelles quels qui quoi s sa sans se sera ses si sommes son sont sous suis sur t ta te tes toi ton tous tout "
    "toute toutes tres tu un une vers vos votre vous y ",
    // Spanish
    "a al algo alguien ante antes aquel aquella asi aun aunque cada como con contra cual cuales cualquier cuando "
    "cuanta cuantas cuanto cuantos de del desde donde dos durante e el ella ellas ellos en entre era eran eres es "
    "esa esas ese eso esos esta estaba estan estar estas este esto estos fue fueron ha habia han hasta hay la las "
    "le les lo los mas me mi mis mucho muy nada ni no nos nosotros o os otra otro para pero por porque pues que "
    "quien quienes se sea ser si sido sin sobre son su sus tambien tan te tiene tienen todo todos tu tus un una "
    "unas uno unos y ya yo ",
    // Italian
    "a abbiamo ad agli ai al alla alle allo anche ancora avere c che chi ci ciascuno coi col come con contro cosa "
    "cui d da dagli dai dal dalla dalle de degli dei del della delle dello di dopo dove e ed era erano essere fra "
    "gia gli ha hai hanno ho i il in io l la le lei li lo loro lui ma mentre mi mia mie miei mio molto ne negli "
    "nei nel nella nelle noi non nostra nostro o ogni per perche piu po poi prima qual quale quali quando quanta "
    "quante quanti quanto quella quelle quelli quello questa queste questi questo se sei senza si sia siamo sono "
    "sopra sotto sta stato su sua sue sugli sui sul sulla suo suoi tra tu tua tuo un una uno vi voi ",
    // Portuguese
    "a ainda alguem antes ao aos apenas aquela aquele aqui as ate cada com como contra da das de dela dele depois "
    "desde do dois dos e ela elas ele eles em entre era eram essa esse esta estao estava este eu foi foram ha "
    "isso isto ja la lhe mais mas me mesmo meu minha muito na nao nas nem no nos nossa nosso num numa o onde os "
    "ou para pela pelas pelo pelos por porque pouco quais qual qualquer quando quantas quanto quantos que quem "
    "sao se sem ser seu seus sido sob sobre sou sua suas tambem tao te tem ter teu tinha todo todos tu tua um uma "
    "umas uns voce ",
    // Dutch
    "aan al alle als altijd andere ben bij daar dan dat de deze die dit doch doen door dus een en er ge geen had "
    "hadden heb hebben heeft hem het hier hij hoe hoeveel hun ik in is ja je jij jullie kan kon kunnen maar me "
    "meer men met mij mijn moet na naar niet niets nog nu of om omdat onder ons onze ook op over reeds te tegen "
    "toch toen tot u uit uw van veel voor waar waarom wanneer want waren was wat we wel welk welke werd werden "
    "wie wij wil worden wordt zal ze zei zelf zich zij zijn zo zonder zou ",
    // Swedish
    "alla allt an att av bara blev bli blir da dar de dem den denna deras dess det detta dig din ditt dock du "
    "efter eller en er ett for fran ha hade han hans har henne hennes hon honom hur i icke in ingen inte ja jag "
    "kan kunde man med mellan men mig min mot mycket nar ni nu och om oss pa sa sadan samma sedan sig sin sina "
    "sitt ska skulle som till under upp ut utan vad var vara varfor varit vart vem vi vid vilka vilken vilket "
    "vill ",
};

// Per word one bit for each language that has it.
using LanguageSets = std::unordered_map<std::string_view, std::uint8_t>;

const LanguageSets& language_sets() {
  static const LanguageSets sets = [] {
    LanguageSets made;
    for (std::size_t language = 0; language < kListedLanguages; ++language) {
      for (std::string_view rest = kLists[language]; !rest.empty();) {
        const std::size_t end = rest.find(' ');
        made[rest.substr(0, end)] |= static_cast<std::uint8_t>(1U << language);
        rest.remove_prefix(end + 1);
      }
    }
    return made;
  }();
  return sets;
}

std::uint8_t languages_of(std::string_view term) {
  const auto found = language_sets().find(term);
  return found == language_sets().end() ? std::uint8_t{0} : found->second;
}

}  // namespace

bool is_function_word(std::string_view term, Language language) {
  return (languages_of(term) >> static_cast<unsigned>(language) & 1U) != 0;
}

void LanguageGuess::add(std::string_view term) {
  const unsigned languages = languages_of(term);
  for (std::size_t i = 0; languages != 0 && i < kListedLanguages; ++i) found_[i] += languages >> i & 1U;
}

Language LanguageGuess::language() const {
  const auto best = std::max_element(found_.begin(), found_.end());
  return *best == 0 ? Language::kOther : static_cast<Language>(best - found_.begin());
}

}  // namespace elrt
