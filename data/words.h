// The words of the built-in language. In each list all are equally probable; none is the beginning of another
// (chooser.h tells why).
#pragma once
#include <string_view>
#include <vector>

namespace ef::words {

using Words = std::vector<std::string_view>;

inline Words list(std::string_view comma_separated) {
  Words words;
  for (std::size_t begin = 0, end = 0; end != std::string_view::npos; begin = end + 2) {
    end = comma_separated.find(", ", begin);
    words.push_back(comma_separated.substr(begin, end - begin));
  }
  return words;
}

inline const Words kNames = {"Mia", "Anna", "Rosa", "Lucy", "Ben", "Tom", "Otto", "Finn"};

inline const Words kAdjectives = {"red", "blue", "tiny", "gold", "shiny", "old", "wooden", "pink"};
inline const Words kAfterA = {" red", " blue", " tiny", " gold", " shiny", "n old", " wooden", " pink"};
inline const Words kNouns = {"bell", "cup", "drum", "fan", "hat", "key", "lamp", "map", "ring", "top"};

inline const Words kWeather = list(
    "windy, sunny, rainy, foggy, quiet, cold, warm, dark, lazy, stormy, hot, bright, busy, fine, misty, "
    "happy");
inline const Words kTimes =
    list("day, night, morning, evening, Monday, Friday, Sunday, spring, autumn, June, weekend, holiday");
inline const Words kPlaces = list(
    "by the pond, at the well, in the snow, on a hill, near a mill, in a barn, on a roof, by a tree, at "
    "school, in the park, at the zoo, on a bus, by the road, in the mud, at a fair, near home");
inline const Words kHidden = list(
    "in a boot, in a nest, in a teapot, under a rug, in the hay, on a cake, in the soup, up a tree, on a "
    "shelf, under a cow, in a sock, in the jam, by the cat, in a pocket, on a cloud, under a bed");
inline const Words kFound = {"found", "saw", "spotted", "noticed", "dug up", "met", "caught", "won"};
inline const Words kMade = {"made", "bought", "drew", "knitted", "baked", "carved", "had", "chose"};
inline const Words kWent =
    list("ran, walked, hurried, skipped, hopped, went, rode, danced, flew, sped, swam, crept");
inline const Words kSaid =
    list("said, cried, called, sang, murmured, laughed, yelled, hummed, smiled, shouted, giggled, replied");
inline const Words kHow = list(
    "softly, loudly, shyly, gladly, sweetly, proudly, kindly, at once, twice, again, politely, bravely, "
    "slowly, once more, in tears, in rhyme");
inline const Words kComfort = list(
    "Cheer up, Do not cry, Never mind, Hush now, Be brave, Let us look, Oh no, Wait here, Come on, Well "
    "well, I can help, Poor you, Sit down, Trust me, Have a plum, Good luck");
inline const Words kJoy = list(
    "hurrah, thank you, at last, how nice, what luck, I am so glad, my dear, bravo, no doubt, good old "
    "you, wonderful, let us sing, look at that, of course, indeed, oh joy");
inline const Words kLook = list(
    "Look, Guess what, Surprise, Come here, Close your eyes, For you, Hello, Here I am, Knock knock, "
    "Psst, Wake up, Good news, Be quick, Sit down, Ta da, Stop");
inline const Words kListeners = list(
    "the moon, a cow, the cat, a frog, the wind, a goose, a baker, the king, a star, the mirror, the sea, "
    "a snail, Dad, Granny, nobody, an owl");
inline const Words kWill = {"like", "love", "want", "need", "break", "lose", "eat", "hide"};
inline const Words kVery = {"very", "so", "quite", "rather", "a bit", "still", "not", "all"};
inline const Words kQualities = list(
    "warm, wet, dusty, cold, sticky, muddy, pretty, heavy, lovely, sandy, bent, dry, dirty, furry, "
    "shabby, green");
inline const Words kHugged = list(
    "hugged, kissed, thanked, cuddled, tickled, carried, sang for, joined, painted, fed, chased, "
    "calmed");
inline const Words kPlayed = list(
    "danced, sang, played, had tea, ate cake, slept, went home, swam, laughed, read, painted, flew kites, "
    "ran, dug, hopped, cheered");
inline const Words kUntil = list(
    "all day, till noon, in the sun, by the fire, with Dad, again, for hours, on the moon, at once, in a "
    "tent, like birds, till dark, until June, a lot, too much, with joy");
inline const Words kWhen = {"today", "twice", "at noon", "so sadly"};

struct Pronouns {
  std::string_view he, He, him, his;
};
inline const Pronouns& pronouns(int name) {  // by its place in kNames
  static const Pronouns girl = {"she", "She", "her", "her"}, boy = {"he", "He", "him", "his"};
  return name < 4 ? girl : boy;
}

}  // namespace ef::words
