"""Names of files in the Debian packages by what they show, which was sorted by hand."""

#: Folders of stamps that hold signs and drawings, no photographs.
DRAWING_FOLDERS = ('symbols', 'cartoon')

#: Stamps of other folders that are left out, with the reason.
LEFT_OUT = {
    'bee': 'a drawing',
    'checkeredflag': 'a drawing',
    'dreydl-gimmel': 'a drawing',
    'dreydl-hay': 'a drawing',
    'dreydl-nun': 'a drawing',
    'dreydl-shin': 'a drawing',
    'xing_ped': 'a drawing',
    'xing_school': 'a drawing',
    'no_uturn': 'not what is heard (a sign, brakes)',
    'final-roll-call': 'not what is heard (a helmet, a bugle)',
}

#: Stamps that show one kind of thing: class name -> stems, the first first. Every
#: other stamp with a sound is a class of its own. Some of these have no sound of
#: their own and add a photograph; a stem that is not there is not missed.
KINDS = {
    'bear': ('bear', 'european-bear'),
    'camel': ('camel', 'dromedary'),
    'cow': ('cow', 'cow_white'),
    'deer': ('doe', 'deer'),
    'donkey': ('donkey', 'donkey_eating'),
    'duck': ('duck', 'drake'),
    'frog': ('frog', 'frog-1'),
    'hen': ('hen', 'chicken_profile'),
    'heron': ('heron_greatblue_flying', 'heron_greatblue'),
    'lion': ('lion', 'lion-2'),
    'penguin': ('penguin', 'magellanic_penguin', 'little-penguin'),
    'pig': ('pig', 'pig_golden', 'pig_golden2'),
    'rabbit': ('rabbit', 'rabbit_little', 'rabbit-2'),
    'seagull': ('seagull', 'silver-gull'),
    'sheep': ('sheep', 'sheep_lamb'),
    'tiger': ('tiger', 'tiger_sumatran'),
}

#: Photographs among the wallpapers of other Debian packages (the rest of those
#: packages is computer art): end of the path without the file's ending.
WALLPAPERS = (
    # lomiri-wallpapers-16.04 (CC0, CC-BY, CC-BY-SA)
    'backgrounds/Bridge_by_Sander_Klootwijk',
    'backgrounds/Dragonfly_by_Bolly',
    'backgrounds/Picture_0B_by_freespace',
    'backgrounds/Picture_1A_by_freespace',
    'backgrounds/Wine_by_Jakkub_Mede',
    'backgrounds/aitzgorri_by_Aitzol_Berasategi',
    'backgrounds/greentock_by_Peter_Nerlich',
    'backgrounds/life_by_Aitzol_Berasategi',
    'backgrounds/picosdeeuropa_by_Aitzol_Berasategi',
    'backgrounds/seeding_by_Clements_Engelhardt',
    'backgrounds/sunset_by_Aitzol_Berasategi',
    # lxqt-themes (CC-BY-SA-3.0 by the file beside them)
    'lxqt/wallpapers/Butterfly-Kenneth-Wimer',
    'lxqt/wallpapers/Valendas',
    'lxqt/wallpapers/after-the-rain',
    'lxqt/wallpapers/appleflower',
    'lxqt/wallpapers/beam',
    'lxqt/wallpapers/butterfly',
    'lxqt/wallpapers/cloud',
    'lxqt/wallpapers/drop',
    'lxqt/wallpapers/flowers',
    'lxqt/wallpapers/fog',
    'lxqt/wallpapers/this-is-not-windows',
    # mate-backgrounds (GPL-2+)
    'mate/nature/Aqua',
    'mate/nature/Blinds',
    'mate/nature/Dune',
    'mate/nature/FreshFlower',
    'mate/nature/Garden',
    'mate/nature/GreenMeadow',
    'mate/nature/LadyBird',
    'mate/nature/RainDrops',
    'mate/nature/Storm',
    'mate/nature/TwoWings',
    'mate/nature/Wood',
    'mate/nature/YellowFlower',
    # plasma-workspace-wallpapers (GPL-2+)
    'BytheWater/contents/images/2560x1600',
    'ColdRipple/contents/images/2560x1600',
    'ColorfulCups/contents/images/2560x1600',
    'DarkestHour/contents/images/2560x1600',
    'EveningGlow/contents/images/2560x1600',
    'FallenLeaf/contents/images/2560x1600',
    'Grey/contents/images/2560x1600',
    'Kite/contents/images/2560x1600',
    'OneStandsOut/contents/images/2560x1600',
    'Path/contents/images/2560x1600',
    'summer_1am/contents/images/2560x1600',
)

#: Photographs in the data folder of the scikit-image wheel.
SCIKIT_IMAGE = (
    'brick.png',
    'coffee.png',
    'coins.png',
    'grass.png',
    'gravel.png',
    'moon.png',
    'motorcycle_left.png',
    'rocket.jpg',
)
