"""Compounds by crystal prototype, and small molecules: the tables that `structures.py` builds from.

Lattice constants a (and c) are in angstrom: experimental ones, rounded, and estimates for some of the rarer
compounds. Every structure made from them is strained, so that their last digits are of no matter.
"""

ELEMENTS = """
Ag Al Au Ba Be C Ca Cd Ce Co Cr Cs Cu Fe Ge Hf Ir K La Li Mg Mo Na Nb Ni Os Pb Pd Pt Rb Re Rh Ru Sc Si Sn Sr
Ta Ti Tl V W Y Zn Zr Ar Kr Ne Xe Dy Er Eu Gd Ho Lu Nd Pr Tb Tm Yb
"""

# Prototype -> space group and, for every species in the order in which a compound's name lists them, the
# fractional coordinates of the sites it fills in the conventional cell (first origin choice, hexagonal axes).
SITES = {
    "rocksalt": (225, [[(0, 0, 0)], [(1 / 2, 1 / 2, 1 / 2)]]),
    "zincblende": (216, [[(0, 0, 0)], [(1 / 4, 1 / 4, 1 / 4)]]),
    "cesiumchloride": (221, [[(0, 0, 0)], [(1 / 2, 1 / 2, 1 / 2)]]),
    "fluorite": (225, [[(0, 0, 0)], [(1 / 4, 1 / 4, 1 / 4)]]),
    "perovskite": (221, [[(0, 0, 0)], [(1 / 2, 1 / 2, 1 / 2)], [(1 / 2, 1 / 2, 0)]]),
    "ReO3": (221, [[(0, 0, 0)], [(1 / 2, 0, 0)]]),
    "Cu3Au": (221, [[(0, 0, 0)], [(0, 1 / 2, 1 / 2)]]),
    "CuAu": (123, [[(0, 0, 0)], [(1 / 2, 1 / 2, 1 / 2)]]),
    "NiAs": (194, [[(0, 0, 0)], [(1 / 3, 2 / 3, 1 / 4)]]),
    "wurtzite": (186, [[(1 / 3, 2 / 3, 0)], [(1 / 3, 2 / 3, 0.375)]]),
    "WC": (187, [[(0, 0, 0)], [(1 / 3, 2 / 3, 1 / 2)]]),
    "AlB2": (191, [[(0, 0, 0)], [(1 / 3, 2 / 3, 1 / 2)]]),
    "CdI2": (164, [[(0, 0, 0)], [(1 / 3, 2 / 3, 1 / 4)]]),
    "half-Heusler": (216, [[(0, 0, 0)], [(1 / 4, 1 / 4, 1 / 4)], [(1 / 2, 1 / 2, 1 / 2)]]),
    "Heusler": (225, [[(0, 0, 0)], [(1 / 2, 1 / 2, 1 / 2)], [(1 / 4, 1 / 4, 1 / 4)]]),
    "MgCu2": (227, [[(0, 0, 0)], [(5 / 8, 5 / 8, 5 / 8)]]),
    "CaCu5": (191, [[(0, 0, 0)], [(1 / 3, 2 / 3, 0), (1 / 2, 0, 1 / 2)]]),
    "rutile": (136, [[(0, 0, 0)], [(0.305, 0.305, 0)]]),
    "cuprite": (224, [[(0, 0, 0)], [(1 / 4, 1 / 4, 1 / 4)]]),
    "litharge": (129, [[(0, 1 / 2, 0.24)], [(0, 0, 0)]]),
    "PbFCl": (129, [[(0, 1 / 2, 0.2)], [(0, 0, 0)], [(0, 1 / 2, 0.645)]]),
    "ThCr2Si2": (139, [[(0, 0, 0)], [(0, 1 / 2, 1 / 4)], [(0, 0, 0.36)]]),
    "CaAl2Si2": (164, [[(0, 0, 0)], [(1 / 3, 2 / 3, 0.63)], [(1 / 3, 2 / 3, 0.25)]]),
    "tetradymite": (166, [[(0, 0, 0.4)], [(0, 0, 0), (0, 0, 0.21)]]),
    "delafossite": (166, [[(0, 0, 0)], [(0, 0, 1 / 2)], [(0, 0, 0.11)]]),
    "NaFeO2": (166, [[(0, 0, 0)], [(0, 0, 1 / 2)], [(0, 0, 0.24)]]),
    "cooperite": (131, [[(0, 1 / 2, 0)], [(0, 0, 1 / 4)]]),
    "MoSi2": (139, [[(0, 0, 0)], [(0, 0, 1 / 3)]]),
    "CaC2": (139, [[(0, 0, 0)], [(0, 0, 0.405)]]),
    "arsenic": (166, [[(0, 0, 0.23)]]),
    "selenium": (152, [[(0.22, 0, 1 / 3)]]),
    "graphite": (194, [[(0, 0, 1 / 4), (1 / 3, 2 / 3, 1 / 4)]]),
    "hexagonal-BN": (194, [[(1 / 3, 2 / 3, 1 / 4)], [(1 / 3, 2 / 3, 3 / 4)]]),
    "molybdenite": (194, [[(1 / 3, 2 / 3, 1 / 4)], [(1 / 3, 2 / 3, 0.621)]]),
    "Li3N": (191, [[(0, 0, 1 / 2), (1 / 3, 2 / 3, 0)], [(0, 0, 0)]]),
}

# Prototype -> "name a [c] name a [c] ..."; c is listed for the tetragonal and hexagonal prototypes only.
COMPOUNDS = {
    "rocksalt": """
AgBr 5.77 AgCl 5.546 AgF 4.93 BaO 5.539 BaS 6.39 BaSe 6.60 BaTe 7.00 BiSe 5.99 BiTe 6.47 CaO 4.811 CaS 5.69
CaSe 5.92 CaTe 6.35 CdO 4.70 CeAs 6.07 CeN 5.02 CeP 5.93 CoO 4.26 CrN 4.15 CsF 6.01 DyN 4.89 ErN 4.84 EuO
5.14 EuS 5.97 EuSe 6.19 EuTe 6.59 FeO 4.33 GdAs 5.86 GdN 4.98 GeTe 5.99 HfC 4.64 HfN 4.52 HoN 4.87 KBr 6.60
KCl 6.293 KF 5.34 KH 5.70 KI 7.07 LaAs 6.15 LaBi 6.58 LaN 5.30 LaP 6.03 LaS 5.86 LaSb 6.50 LiBr 5.50 LiCl
5.106 LiF 4.026 LiH 4.083 LiI 6.00 LuN 4.766 MgO 4.212 MgS 5.203 MgSe 5.46 MnO 4.44 MnS 5.224 NaBr 5.97 NaCl
5.640 NaF 4.634 NaH 4.88 NaI 6.47 NbC 4.47 NbN 4.39 NdN 5.15 NiO 4.177 PbS 5.936 PbSe 6.124 PbTe 6.46 PdH
4.09 PrN 5.16 RbBr 6.85 RbCl 6.58 RbF 5.64 RbH 6.04 RbI 7.342 ScAs 5.49 ScN 4.50 ScP 5.31 ScSb 5.85 SmS 5.97
SnAs 5.72 SnSb 6.13 SnSe 6.02 SnTe 6.327 SrO 5.160 SrS 6.02 SrSe 6.23 SrTe 6.66 TaC 4.455 TbN 4.93 TiC 4.328
TiN 4.24 TiO 4.18 TmN 4.81 VC 4.16 VN 4.14 VO 4.08 YAs 5.79 YN 4.877 YP 5.66 YS 5.47 YSb 6.17 YbO 4.86 YbS
5.68 YbTe 6.36 ZrC 4.69 ZrN 4.585
""",
    "zincblende": """
AgI 6.473 AlAs 5.661 AlN 4.38 AlP 5.464 AlSb 6.136 BAs 4.777 BN 3.615 BP 4.538 BSb 5.20 BeO 3.80 BeS 4.865
BeSe 5.137 BeTe 5.617 CdS 5.832 CdSe 6.052 CdTe 6.482 CuBr 5.691 CuCl 5.416 CuI 6.043 GaAs 5.653 GaN 4.50
GaP 5.451 GaSb 6.096 GeC 4.61 GeSn 6.07 HgS 5.852 HgSe 6.085 HgTe 6.461 InAs 6.058 InN 4.98 InP 5.869 InSb
6.479 MgS 5.62 MgSe 5.89 MgTe 6.42 MnSe 5.82 MnTe 6.34 SiC 4.360 SiGe 5.54 SiSn 6.00 ZnO 4.58 ZnS 5.409 ZnSe
5.668 ZnTe 6.101
""",
    "cesiumchloride": """
AgCd 3.33 AgMg 3.314 AgZn 3.156 AuCd 3.32 AuMg 3.26 AuZn 3.15 BaCd 4.21 BaHg 4.13 BeCo 2.61 BeCu 2.70 BeNi
2.62 BePd 2.82 CaCd 3.82 CaHg 3.76 CaTl 3.85 CoAl 2.862 CoFe 2.86 CoTi 2.99 CsAu 4.26 CsBr 4.286 CsCl 4.123
CsI 4.567 CuZn 2.954 FeAl 2.909 FeRh 2.99 FeTi 2.976 FeV 2.91 GaNi 2.89 GaRh 3.01 GaRu 3.01 HfCo 3.16 HfRu
3.22 InNi 3.10 InPd 3.25 IrAl 2.98 LaAg 3.78 LaCd 3.90 LaMg 3.96 LaZn 3.76 LiAg 3.17 LiHg 3.29 LiTl 3.43
MgHg 3.44 MgTl 3.63 MnNi 2.97 MnRh 3.04 NiAl 2.887 NiTi 3.015 NiZn 2.91 OsAl 3.00 OsTi 3.08 PdAl 3.03 RbAu
4.10 RhAl 2.98 RuAl 2.99 RuTi 3.06 ScAg 3.41 ScAu 3.37 ScCu 3.25 ScPd 3.28 ScRh 3.21 SrCd 4.01 SrHg 3.93
SrTl 4.02 TlBr 3.985 TlCl 3.834 TlI 4.198 YAg 3.62 YAu 3.56 YCu 3.48 YMg 3.79 YZn 3.58 ZrCo 3.19 ZrOs 3.26
ZrRu 3.25
""",
    "fluorite": """
AuAl2 6.00 AuGa2 6.08 AuIn2 6.50 BaCl2 7.34 BaF2 6.200 CBe2 4.34 CaF2 5.463 CdF2 5.388 CeO2 5.411 CoSi2
5.365 GeMg2 6.393 HfO2 5.08 HgF2 5.54 IrSn2 6.34 LaH2 5.67 NbH2 4.56 NiSi2 5.406 OK2 6.436 OLi2 4.619 ONa2
5.55 ORb2 6.74 PIr2 5.54 PRh2 5.50 PbF2 5.94 PbMg2 6.81 PrO2 5.39 PtAl2 5.92 PtGa2 5.91 PtSn2 6.42 SK2 7.39
SLi2 5.71 SNa2 6.54 SRb2 7.65 ScH2 4.78 SeK2 7.68 SeLi2 6.00 SeNa2 6.81 SiMg2 6.338 SnMg2 6.76 SrCl2 6.977
SrF2 5.800 TeK2 8.15 TeLi2 6.50 TeNa2 7.31 TiH2 4.45 YH2 5.20 ZrH2 4.78 ZrO2 5.090
""",
    "perovskite": """
AlCTi3 4.16 AsNCa3 4.76 BaHfO3 4.17 BaLiF3 3.995 BaSnO3 4.115 BaTiO3 4.00 BaZrO3 4.19 BiAlO3 3.75 BiFeO3
3.95 CaMnO3 3.73 CaTiO3 3.84 CaVO3 3.77 CsCaCl3 5.40 CsCaF3 4.52 CsCdCl3 5.20 CsGeI3 5.98 CsPbBr3 5.87
CsPbCl3 5.605 CsPbF3 4.80 CsPbI3 6.29 CsSnBr3 5.80 CsSnCl3 5.56 CsSnI3 6.22 GaCMn3 3.90 InNTi3 4.19 KCaF3
4.37 KCdF3 4.29 KCoF3 4.07 KMgF3 3.989 KMnF3 4.19 KNbO3 4.02 KNiF3 4.01 KTaO3 3.989 KZnF3 4.055 LaAlO3 3.79
LaCoO3 3.82 LaCrO3 3.88 LaFeO3 3.93 LaGaO3 3.87 LaMnO3 3.88 LaNiO3 3.84 LaScO3 4.05 MgCNi3 3.81 NaMgF3 3.83
NaNbO3 3.91 NiNFe3 3.79 PbOCa3 4.85 PbOSr3 5.15 PbTiO3 3.97 PbZrO3 4.13 PdNCu3 3.85 RbCaF3 4.45 RbZnF3 4.12
SbNMg3 4.35 SnOCa3 4.83 SnOSr3 5.14 SrFeO3 3.85 SrHfO3 4.07 SrMoO3 3.975 SrRuO3 3.93 SrSnO3 4.03 SrTiO3
3.905 SrVO3 3.84 SrZrO3 4.10 YAlO3 3.68 ZnNNi3 3.76
""",
    "ReO3": """
AlF3 3.58 MoF3 3.90 NCu3 3.81 NbF3 3.90 ReO3 3.75 ScF3 4.01 TaF3 3.90 WO3 3.77
""",
    "Cu3Au": """
AlNi3 3.57 AuCu3 3.75 CaPb3 4.90 CaSn3 4.73 CaTl3 4.80 CeSn3 4.72 CoPt3 3.83 CrPt3 3.87 FeNi3 3.55 GaNi3
3.58 GeNi3 3.57 HfIr3 3.94 IrMn3 3.78 LaIn3 4.73 LaPb3 4.90 LaSn3 4.77 MnNi3 3.59 MnPt3 3.90 NbIr3 3.89
NbRh3 3.86 PbPd3 4.03 PtFe3 3.73 PtMn3 3.83 ScAl3 4.10 ScIn3 4.48 ScPd3 3.98 SiNi3 3.50 SnPd3 3.98 SnPt3
4.00 TaRh3 3.86 TiCo3 3.61 TiIr3 3.85 TiPt3 3.90 TiRh3 3.82 YIn3 4.59 YPb3 4.81 YPd3 4.07 YbAl3 4.20 ZnPt3
3.89 ZrIr3 3.94 ZrRh3 3.92 AlZr3 4.37 CuAu3 3.98
""",
    "CuAu": """
BiLi 3.359 4.25 BiNa 3.472 4.80 CoPt 2.687 3.70 CuAu 2.800 3.67 FePd 2.722 3.71 FePt 2.722 3.71 InMg 3.231
4.40 MnAl 2.772 3.57 MnNi 2.645 3.52 MnPt 2.828 3.67 NiPt 2.701 3.59 PdCd 3.026 3.63 PdZn 2.906 3.35 PtHg
2.970 3.80 PtZn 2.850 3.47 TiAl 2.828 4.07
""",
    "NiAs": """
AuSn 4.31 5.52 CoSb 3.87 5.19 CoSe 3.63 5.30 CoTe 3.89 5.37 CrTe 3.98 6.21 FeS 3.44 5.88 FeSb 4.07 5.14 FeSe
3.64 5.96 IrSb 3.98 5.52 MnAs 3.72 5.70 MnBi 4.29 6.13 MnSb 4.14 5.79 MnTe 4.15 6.71 NiAs 3.62 5.03 NiS 3.44
5.35 NiSb 3.94 5.14 NiSe 3.66 5.36 NiSn 4.05 5.12 NiTe 3.98 5.38 PdSb 4.07 5.58 PdTe 4.13 5.66 PtBi 4.32
5.49 PtPb 4.26 5.47 PtSb 4.13 5.47 PtSn 4.10 5.43 RhTe 3.99 5.66 ScTe 4.12 6.75 TiSe 3.57 6.20 VS 3.36 5.81
VSe 3.66 5.95 VTe 3.94 6.13 ZrTe 3.95 6.65
""",
    "wurtzite": """
AgI 4.59 7.51 AlN 3.112 4.982 AlP 3.83 6.29 BN 2.55 4.21 BeO 2.698 4.377 CdS 4.136 6.713 CdSe 4.30 7.01 CdTe
4.57 7.48 CuH 2.89 4.61 GaAs 3.99 6.57 GaN 3.19 5.185 InN 3.545 5.703 MgTe 4.54 7.39 MnS 3.98 6.44 SiC 3.076
5.048 ZnO 3.25 5.207 ZnS 3.82 6.26 ZnSe 4.00 6.54
""",
    "WC": """
MoP 3.22 3.19 TaN 2.93 2.88 WC 2.906 2.837 WN 2.89 2.83 ZrTe 3.77 3.86 MoC 2.90 2.81
""",
    "AlB2": """
AlB2 3.005 3.257 BaGa2 4.43 5.08 CaGa2 4.32 4.32 CrB2 2.97 3.07 HfB2 3.14 3.47 LaGa2 4.32 4.42 LuB2 3.25
3.70 MgB2 3.086 3.524 MnB2 3.01 3.04 MoB2 3.04 3.06 NbB2 3.09 3.31 ScB2 3.15 3.52 SrGa2 4.34 4.73 TaB2 3.08
3.27 TiB2 3.03 3.23 VB2 3.00 3.06 YB2 3.30 3.84 YSi2 3.84 4.14 ZrB2 3.17 3.53
""",
    "CdI2": """
CaI2 4.48 6.96 CdI2 4.24 6.84 CoBr2 3.68 6.12 CoI2 3.96 6.65 CoTe2 3.80 5.41 FeBr2 3.77 6.22 FeI2 4.04 6.75
GeI2 4.13 6.79 HfS2 3.63 5.85 HfSe2 3.75 6.16 HfTe2 3.95 6.65 IrTe2 3.93 5.39 MgBr2 3.81 6.26 MgCl2 3.64
5.93 MgI2 4.15 6.89 MnBr2 3.87 6.27 MnI2 4.16 6.82 NbTe2 3.68 6.60 NiTe2 3.84 5.26 PbI2 4.557 6.979 PdTe2
4.04 5.13 PtS2 3.54 5.04 PtSe2 3.73 5.07 PtTe2 4.03 5.22 RhTe2 3.92 5.41 SnS2 3.648 5.899 SnSe2 3.81 6.14
TaS2 3.36 5.90 TaSe2 3.48 6.27 TiBr2 3.63 6.49 TiCl2 3.56 5.88 TiS2 3.407 5.695 TiSe2 3.54 6.01 TiTe2 3.77
6.50 VBr2 3.77 6.18 VCl2 3.60 5.84 VS2 3.22 5.76 VSe2 3.36 6.10 YbI2 4.50 6.97 ZrS2 3.66 5.81 ZrSe2 3.77
6.14 ZrTe2 3.95 6.63
""",
    "half-Heusler": """
CuMnSb 6.09 HfCoSb 6.04 HfNiSn 6.08 LaPtBi 6.83 LiAlGe 5.98 LiAlSi 5.93 LiCdP 6.09 LiMgAs 6.19 LiMgN 4.955
LiMgP 6.02 LiZnAs 5.94 LiZnN 4.88 LiZnP 5.78 MgAgAs 6.24 MgCuSb 6.17 MgNiSb 6.05 MnNiSb 5.92 MnPtSb 6.20
NbCoSn 5.95 NbFeSb 5.95 ScNiSb 6.06 ScPtBi 6.50 ScPtSb 6.31 TiCoSb 5.88 TiNiSn 5.93 VFeSb 5.82 YNiSb 6.31
YPdSb 6.53 YPtBi 6.64 ZrCoSb 6.07 ZrNiSn 6.11 ZrPtSn 6.32
""",
    "Heusler": """
AlMnAu2 6.36 AlTiCu2 6.01 AlZrCu2 6.21 AlCrCo2 5.73 AlTiCo2 5.85 AlVFe2 5.76 AlHfNi2 6.08 AlTiNi2 5.87
AlVMn2 5.92 BiLiLi2 6.71 BiFF2 5.85 GaMnNi2 5.82 GaVMn2 5.92 GeMnCo2 5.74 SbCsCs2 9.15 SbKK2 8.49 SbLiLi2
6.57 SiFeCo2 5.64 SiMnCo2 5.65 SiFeFe2 5.65 SiMnMn2 5.72 AlFeFe2 5.79 SnMnNi2 6.05 SnMnPd2 6.38 SnMnRh2 6.25
SnNbNi2 6.16 SnScPd2 6.50 SnTiCo2 6.07 SnYPd2 6.72 SnZrCo2 6.25 SbCuCu2 6.00 LaHH2 5.60
""",
    "MgCu2": """
BiAu2 7.96 CaAl2 8.04 CaRh2 7.52 HfV2 7.39 KBi2 9.50 LaAl2 8.15 MgCu2 7.03 NaAg2 7.92 NaAu2 7.80 PbAu2 7.93
RbBi2 9.60 ScCo2 6.92 ScNi2 6.93 SrRh2 7.70 YAl2 7.86 YNi2 7.18 ZrCo2 6.95 ZrV2 7.44
""",
    "CaCu5": """
CaCu5 5.09 4.09 CaNi5 4.95 3.93 CaZn5 5.42 4.19 LaNi5 5.02 3.98 YCo5 4.94 3.98 YNi5 4.88 3.97
""",
    "rutile": """
CoF2 4.70 3.18 CrO2 4.42 2.92 FeF2 4.70 3.31 GeO2 4.40 2.86 IrO2 4.50 3.15 MgF2 4.62 3.05 MgH2 4.52 3.02
MnF2 4.87 3.31 MnO2 4.40 2.87 MoO2 4.86 2.79 NbO2 4.85 3.03 NiF2 4.65 3.08 OsO2 4.50 3.18 PbO2 4.95 3.38
PdF2 4.96 3.39 ReO2 4.80 2.80 RhO2 4.49 3.09 RuO2 4.49 3.11 SiO2 4.18 2.667 SnO2 4.737 3.186 TaO2 4.71 3.06
TiO2 4.594 2.959 VO2 4.55 2.85 WO2 4.86 2.77 ZnF2 4.70 3.13
""",
    "cuprite": """
OAg2 4.73 OCu2 4.27 OPb2 5.38
""",
    "litharge": """
PbO 3.96 5.01 SnO 3.80 4.84 SeFe 3.77 5.52 TeFe 3.82 6.28
""",
    "PbFCl": """
AsFeLi 3.77 6.36 AsFeNa 3.95 7.04 BaFCl 4.39 7.23 BiOBr 3.93 8.10 BiOCl 3.89 7.35 BiOI 3.99 9.15 CaFCl 3.89
6.82 LaOCl 4.12 6.88 PbFCl 4.11 7.23 SrFCl 4.13 6.96 YOCl 3.90 6.60
""",
    "ThCr2Si2": """
BaFe2As2 3.96 13.02 BaMn2As2 4.16 13.40 BaNi2As2 4.11 11.60 CaCu2Ge2 4.13 10.20 CaFe2As2 3.87 11.70 KFe2As2
3.84 13.86 LaNi2Ge2 4.19 9.90 SrCo2As2 3.95 11.80 SrCu2Ge2 4.27 10.30 SrFe2As2 3.92 12.36 YNi2Si2 3.96 9.58
""",
    "CaAl2Si2": """
BaMg2P2 4.40 7.50 CaAl2Si2 4.13 7.15 CaMg2Sb2 4.66 7.58 CaZn2As2 4.16 7.01 CaZn2P2 4.04 6.84 CaZn2Sb2 4.44
7.46 MgMg2Bi2 4.67 7.40 MgMg2Sb2 4.56 7.24 SrCd2As2 4.45 7.42 SrZn2As2 4.22 7.27 YbZn2Sb2 4.44 7.43
""",
    "tetradymite": """
As2Te3 4.05 29.5 Bi2Se3 4.14 28.64 Bi2Te3 4.386 30.50 Sb2Te3 4.26 30.40
""",
    "delafossite": """
AgAlO2 2.89 18.27 CuAlO2 2.86 16.95 CuCrO2 2.98 17.10 CuFeO2 3.035 17.16 CuGaO2 2.98 17.16 PdCoO2 2.83 17.74
PtCoO2 2.83 17.74
""",
    "NaFeO2": """
LiCoO2 2.816 14.05 LiCrO2 2.90 14.40 LiNiO2 2.88 14.20 LiVO2 2.84 14.70 NaCrO2 2.97 15.97 NaInO2 3.24 16.35
NaScO2 3.17 16.10 NaTiO2 3.04 16.20
""",
    "cooperite": """
PdO 3.04 5.33 PtO 3.08 5.34 PtS 3.47 6.11
""",
    "MoSi2": """
AlCr2 3.00 8.65 CuTi2 2.94 10.80 CuZr2 3.22 11.18 MoSi2 3.20 7.85 PdTi2 3.09 10.05 PdZr2 3.31 10.90 WSi2
3.21 7.83
""",
    "CaC2": """
BaC2 4.40 7.06 BaO2 3.81 6.84 CaC2 3.89 6.38 KO2 4.03 6.70 LaC2 3.93 6.57 SrC2 4.11 6.68 SrO2 3.56 6.61
""",
    "arsenic": """
As 3.76 10.55 Bi 4.546 11.86 Sb 4.307 11.27 P 3.38 8.80
""",
    "selenium": """
Se 4.366 4.954 Te 4.457 5.929
""",
    "graphite": """
C 2.46 6.71
""",
    "hexagonal-BN": """
BN 2.504 6.66
""",
    "molybdenite": """
MoS2 3.16 12.29 MoSe2 3.29 12.93 MoTe2 3.52 13.97 NbS2 3.33 11.90 NbSe2 3.44 12.54 TaS2 3.31 12.10 TaSe2
3.43 12.70 WS2 3.15 12.32 WSe2 3.28 12.96
""",
    "Li3N": """
Li3N 3.65 3.87
""",
}

# Molecules AXn of one central atom and n ligands.
MOLECULES = """
AgBr AgCl AgF AlBr AlCl AlF AlH AlN AsH3 AsCl3 AsF3 AsF5 AuCl AuF BBr3 BF BH3 BI3 BN BaCl2 BaF2 BaO BeCl2
BeF2 BeH2 BeO BiCl3 BiF3 BiH3 BrCl BrF BrF3 BrF5 BrH CBr4 CF2 CI4 CSe CSe2 CaCl2 CaF2 CaO CdBr2 CdCl2 CdI2
CrF6 CrO3 CsBr CsCl CsF CsI CuBr CuCl CuF CuH GaCl GaCl3 GaF GaF3 GaH3 GaI GeBr4 GeCl2 GeCl4 GeF2 GeF4 GeH4
GeO GeS GeSe HI HfCl4 HgBr2 HgCl2 HgI2 ICl IF IF5 IF7 IBr InBr InCl InCl3 InF InI IrF6 KBr KCl KF KH KI
LaCl3 LaF3 LiBr LiCl LiH LiI MgBr2 MgCl2 MgF2 MgO MoF6 MoO3 NaBr NaF NaH NaI NbCl5 NbF5 OsF6 OsO4 PBr3 PCl3
PCl5 PF5 PI3 PN PbBr2 PbCl2 PbCl4 PbF2 PbI2 PbO PbS PdCl2 PtCl4 PtF6 RbBr RbCl RbF RbI ReF6 RhF6 RuO4 SCl2
SF2 SF4 SF6 SbCl3 SbF3 SbF5 SbH3 ScCl3 ScF3 SeCl2 SeF4 SeF6 SeH2 SeO2 SeO3 SiBr4 SiF2 SiI4 SiS SiSe SnBr2
SnBr4 SnCl2 SnCl4 SnF4 SnH4 SnI2 SnO SnS SnSe SO3 SrCl2 SrF2 SrO TaCl5 TaF5 TeCl2 TeF6 TeH2 TeO2 TiBr4 TiCl4
TiF4 TlBr TlCl TlF TlI VF5 WF6 WO3 XeF2 XeF4 XeF6 YCl3 YF3 ZnBr2 ZnCl2 ZnF2 ZnI2 ZrCl4 ZrF4
"""
