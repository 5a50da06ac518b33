// The goods of the demo shop. Prices are in euros; a finish is a class of shop.css.

export const FINISHES = {
  walnut: "Walnut", oak: "Oak", ebony: "Smoked oak", cream: "Cream", sage: "Sage", brick: "Brick",
  brass: "Brass", copper: "Copper", steel: "Steel", coral: "Coral", sky: "Sky", sun: "Sun",
};

export const KINDS = { spice: "Pepper & spice", flour: "Coffee & flour", garden: "Garden" };

export const GOODS = [
  {
    id: "coffee-mill", name: "Matteo", what: "Coffee mill", kind: "flour", price: 64,
    finishes: ["walnut", "oak", "ebony"],
    line: "Forty turns to a cup.",
    text: "A box, a drawer, a crank. Conical steel burrs that can be set from coarse to espresso, and a " +
      "brass hood that keeps the beans where they belong.",
    facts: ["Steel burrs, 14 settings", "Drawer for 35 g", "Turned in Friuli"],
  },
  {
    id: "pepper-mill", name: "Odile", what: "Pepper mill", kind: "spice", price: 38,
    finishes: ["oak", "walnut", "ebony"],
    line: "Twenty-one centimetres, turned by hand.",
    text: "Turned from one piece and oiled by hand. The grind is set at the knob and stays where you " +
      "set it, from dust to crushed.",
    facts: ["Hardened steel grinder", "21 cm", "Oiled, not varnished"],
  },
  {
    id: "salt-mill", name: "Fleur", what: "Salt mill", kind: "spice", price: 29,
    finishes: ["sage", "cream", "brick"],
    line: "For salt that is not in a hurry.",
    text: "A stoneware belly with a dipped glaze, no two alike, and a ceramic grinder that salt cannot " +
      "harm. It sits well in a wet hand.",
    facts: ["Ceramic grinder", "11 cm", "Glazed by dipping"],
  },
  {
    id: "spice-mill", name: "Banda", what: "Spice mill", kind: "spice", price: 45,
    finishes: ["brass", "copper", "steel"],
    line: "Cardamom, clove, a little nutmeg.",
    text: "A slim cylinder in the manner of Ottoman coffee grinders, small enough for a coat pocket, " +
      "strong enough for whole star anise.",
    facts: ["Crank folds away", "Engraved by hand", "Holds 20 g"],
  },
  {
    id: "grain-mill", name: "Ceres", what: "Flour mill", kind: "flour", price: 189,
    finishes: ["oak", "walnut", "sage"],
    line: "Flour, two minutes old.",
    text: "Real stones in a quiet wooden house. Fill in rye or spelt, turn the dial, and the kitchen " +
      "smells of fields.",
    facts: ["Corundum stones", "100 g a minute", "As loud as a kettle"],
  },
  {
    id: "pinwheel", name: "Brisa", what: "Pinwheel", kind: "garden", price: 12,
    finishes: ["coral", "sky", "sun"],
    line: "It mills nothing but air.",
    text: "Five sails of waxed paper on a beech stick. Needs a balcony, a breeze, and a child of " +
      "any age.",
    facts: ["Waxed paper", "Beech, 60 cm", "Turns from 1 Beaufort"],
  },
];

export const find = (id) => GOODS.find((good) => good.id === id);
